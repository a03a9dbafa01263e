"""Branches of real repositories become records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.environments.resolve import (
    Environment,
    Finder,
    Repositories,
)
from slipway.apps.names import pattern_id
from slipway.apps.plan.plan import plan
from slipway.apps.source import fetch as source
from slipway.apps.source import git as git_source
from slipway.apps.source.fetch import get_sources
from slipway.apps.source.git_auth import Access, Keys
from slipway.errors import SlipwayError
from tests.support.git_samples import commit, git
from tests.support.patterns import NOW, environment, sample


def test_a_check_asks_no_repository_that_is_still_to_be_made(tmp_path: Path) -> None:
    app = {**sample(), "git_url": str(tmp_path / "later")}
    checking = Repositories(tmp_path, Keys(), check=True)
    assert list(checking.branches(app)) == []
    with pytest.raises(SlipwayError):
        Repositories(tmp_path, Keys(), check=False).branches(app)


FILE = """
version: 1
apps:
  - name: web
    git_url: web
    git_branch: feature/*
    branches: {max: 3, grace: 1h}
    ingress: {host: demo.test, rules: [{path: "/{{ branch_slug }}/"}]}
  - name: web
    git_url: web
    git_branch: feature/own
    ingress: {host: demo.test, rules: [{path: /own/}]}
  - name: other
    git_url: web
    ingress: {host: demo.test, rules: [{path: /feature-taken/}]}
"""


def planned(
    tmp_path: Path, existing: Iterable[Environment] = (), text: str = FILE
) -> list[dict[str, Any]]:
    (tmp_path / "apps.yml").write_text(text)
    repositories = Repositories(tmp_path / "cache", Keys(), check=False)
    find = Finder(lambda: list(existing), repositories.branches, NOW)
    return plan(tmp_path / "apps.yml", find_branches=find)


def test_each_branch_is_a_record(tmp_path: Path) -> None:
    for branch in ("main", "feature/a", "feature/b/c", "feature/own"):
        commit(tmp_path / "web", {"file": branch}, branch)
    records = planned(tmp_path)
    about = [(record["git_branch"], record["id"], record["pattern"]) for record in records]
    assert about == [
        ("feature/a", "web-feature-a/web", "feature/*"),
        ("feature/b/c", "web-feature-b-c/web", "feature/*"),
        ("feature/own", "web-feature-own/web", None),
        ("main", "other-main/other", None),
    ]
    rules = {"max": 3, "grace": "1h", "keep": [], "exclude": []}
    assert [record["branches"] for record in records[:2]] == [rules, rules]
    assert records[0]["ingress"]["rules"][0]["path"] == "/feature-a/"
    assert [record["id"] for record in records if "failed" in record] == []


def test_what_was_heard_of_branches_need_not_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web, cache = tmp_path / "web", tmp_path / "cache"
    for branch in ("main", "feature/a", "feature/own"):
        commit(web, {"file": branch}, branch)
    asked: list[str] = []
    ask = git_source.branches

    def counted(url: str, access: Access) -> dict[str, str]:
        asked.append(url)
        return ask(url, access)

    monkeypatch.setattr(git_source, "branches", counted)
    monkeypatch.setattr(source, "branches", counted)

    def commits() -> list[str]:
        asked.clear()
        records = get_sources(planned(tmp_path), cache, check=False, say=lambda _: None).records
        assert all(Path(each["checkout"], "file").exists() for each in records)
        return [each["commit"] for each in records]

    first = commits()
    assert asked == [str(web)]
    assert (commits(), asked) == (first, [str(web)])
    new = commit(web, {"file": "new"}, "feature/a")
    assert (commits(), asked) == ([new, *first[1:]], [str(web)])


def test_several_apps_of_one_branch_need_not_ask_again_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path / "web", {"file": ""}, "feature/a")
    text = """
version: 1
apps:
  - {name: web, git_url: web, git_branch: feature/*}
  - {name: admin, git_url: web, git_branch: feature/*}
"""
    records = planned(tmp_path, text=text)
    get_sources(records, tmp_path / "cache", check=False, say=lambda _: None)
    monkeypatch.setattr(source, "branches", None)
    again = get_sources(records, tmp_path / "cache", check=False, say=lambda _: None).records
    assert [each["git_branch"] for each in again if "checkout" in each] == ["feature/a"] * 2


def test_a_branch_that_takes_somebodys_path_fails_alone(tmp_path: Path) -> None:
    for branch in ("main", "feature/a", "feature/taken", "feature/own"):
        commit(tmp_path / "web", {"file": branch}, branch)
    failed = {record["id"]: record["failed"] for record in planned(tmp_path) if "failed" in record}
    assert list(failed) == ["web-feature-taken/web"]
    assert failed["web-feature-taken/web"]["step"] == "source"
    assert (
        "demo.test/feature-taken/ is already the path" in failed["web-feature-taken/web"]["reason"]
    )


def test_a_branch_whose_namespace_would_be_none_fails_alone(tmp_path: Path) -> None:
    long = f"feature/{'x' * 60}"
    for branch in ("main", "feature/a", long):
        commit(tmp_path / "web", {"file": branch}, branch)
    text = FILE.replace(
        "    branches:", "    namespace: a-long-prefix-{{ branch_slug }}\n    branches:"
    )
    failed = [record for record in planned(tmp_path, text=text) if "failed" in record]
    assert [record["git_branch"] for record in failed] == [long]
    assert "namespace" in failed[0]["failed"]["reason"]


def test_a_branch_whose_namespace_would_be_the_systems_fails_alone(tmp_path: Path) -> None:
    for branch in ("nginx-ingress", "shop", "slipway-routes"):
        commit(tmp_path / "web", {"file": branch}, branch)
    entry = "{name: web, git_url: web, git_branch: '*', namespace: '{{ branch }}'}"
    found = planned(tmp_path, text=f"version: 1\napps: [{entry}]\n")
    assert [each["git_branch"] for each in found if "failed" not in each] == ["shop"]
    reason = found[0]["failed"]["reason"]
    assert "apps.yml:2 apps[0].namespace: nginx-ingress is that of the ingress" in reason


def test_a_branch_is_not_put_into_what_is_another_apps_by_default(tmp_path: Path) -> None:
    for branch in ("main", "pay-main", "shared"):
        commit(tmp_path / "web", {"file": branch}, branch)
    text = """
version: 1
defaults: {git_url: web}
apps:
  - {name: web, git_branch: "*", namespace: "{{ branch }}"}
  - {name: pay}
  - {name: other, namespace: shared}
"""
    found = {record["id"]: record for record in planned(tmp_path, text=text)}
    assert [each for each, record in found.items() if "failed" in record] == ["pay-main/web"]
    reason = found["pay-main/web"]["failed"]["reason"]
    assert "apps.yml:5 apps[0].namespace: pay-main is the namespace of pay" in reason


def test_a_branch_whose_name_cannot_be_filled_in_fails_alone(tmp_path: Path) -> None:
    for branch in ("feature/a", "feature/x"):
        commit(tmp_path / "web", {"file": branch}, branch)
    name = "{{ ['shop'][branch.count('x')] }}-{{ branch_slug }}"
    entry = f'{{name: web, git_url: web, git_branch: "feature/*", namespace: "{name}"}}'
    sound, odd = planned(tmp_path, text=f"version: 1\napps: [{entry}]\n")
    assert sound["namespace"] == "shop-feature-a"
    assert "failed" not in sound
    assert (odd["git_branch"], odd["id"]) == ("feature/x", "feature/x/web")
    assert "cannot be filled in for the branch 'feature/x'" in odd["failed"]["reason"]


def test_odd_names_of_branches_are_names(tmp_path: Path) -> None:
    names = ["feature/'\"$(x)`", "feature/a\u2028b", "feature/\u00e9\U0001f600", "feature/x\u0085"]
    for name in names:
        commit(tmp_path / "web", {"file": name}, name)
    records = get_sources(planned(tmp_path), tmp_path / "cache", check=False, say=print).records
    found = {record["git_branch"]: record for record in records}
    assert set(names) - {"feature/own"} <= found.keys() | {"feature/x\u0085"}
    assert all("checkout" in found[name] for name in names if name in found)


def test_overlapping_patterns_fail_where_they_meet(tmp_path: Path) -> None:
    commit(tmp_path / "web", {"file": ""}, "feature/a")
    text = """
version: 1
apps:
  - {name: web, git_url: web, git_branch: feature/*}
  - {name: web, git_url: web, git_branch: "*"}
"""
    first, second = planned(tmp_path, text=text)
    assert "failed" not in first
    assert "is also at" in second["failed"]["reason"]
    assert first["id"] != second["id"]


def test_without_an_answer_what_there_is_is_reported_and_stays(tmp_path: Path) -> None:
    own = replace(
        environment("feature/a"), pattern=pattern_id("web", str(tmp_path / "web"), "feature/*")
    )
    records = planned(tmp_path, [own])
    failed = {record["id"]: record["failed"] for record in records if "failed" in record}
    assert list(failed) == ["web-feature-a/web"]
    assert str(tmp_path / "web") in failed["web-feature-a/web"]["reason"]


def test_without_an_answer_and_an_environment_the_reason_is_told(tmp_path: Path) -> None:
    first, *_ = planned(tmp_path)
    assert (first["git_branch"], first["ingress"]) == ("feature/*", None)
    assert first["failed"]["step"] == "source"


def test_a_deleted_branch_is_no_record(tmp_path: Path) -> None:
    for branch in ("main", "feature/a", "feature/b"):
        commit(tmp_path / "web", {"file": branch}, branch)
    git(tmp_path / "web", "checkout", "-q", "main")
    git(tmp_path / "web", "branch", "-q", "-D", "feature/a")
    branches = [record["git_branch"] for record in planned(tmp_path)]
    assert branches == ["feature/b", "feature/own", "main"]

"""Branches of real repositories become apps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from msgspec import structs

from slipway.apps.app import App, BranchRules, Sourced
from slipway.apps.environments.resolve import Existing, Finder, Repositories
from slipway.apps.names import pattern_id
from slipway.apps.plan.branches import Matches, Sample
from slipway.apps.plan.plan import plan
from slipway.apps.source import fetch as source
from slipway.apps.source import git as git_source
from slipway.apps.source.fetch import Sources, get_sources
from slipway.apps.source.git_auth import Access, Keys
from slipway.errors import SlipwayError
from tests.support.apps import reason
from tests.support.git_samples import commit, git
from tests.support.patterns import NOW, environment, sample


def test_a_check_asks_no_repository_that_is_still_to_be_made(tmp_path: Path) -> None:
    app = structs.replace(sample().app, git_url=str(tmp_path / "later"))
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


def planned(tmp_path: Path, existing: Iterable[Existing] = (), text: str = FILE) -> list[App]:
    (tmp_path / "apps.yml").write_text(text)
    repositories = Repositories(tmp_path / "cache", Keys(), check=False)
    find = Finder(lambda: list(existing), repositories.branches, NOW)
    return plan(tmp_path / "apps.yml", find_branches=find)


def got(apps: Iterable[App], cache: Path) -> Sources:
    return get_sources(apps, cache, check=False, say=lambda _: None)


def test_each_branch_is_an_app(tmp_path: Path) -> None:
    for branch in ("main", "feature/a", "feature/b/c", "feature/own"):
        commit(tmp_path / "web", {"file": branch}, branch)
    apps = planned(tmp_path)
    about = [(app.git_branch, app.id, app.pattern) for app in apps]
    assert about == [
        ("feature/a", "web-feature-a/web", "feature/*"),
        ("feature/b/c", "web-feature-b-c/web", "feature/*"),
        ("feature/own", "web-feature-own/web", None),
        ("main", "other-main/other", None),
    ]
    assert apps[0].rules[0].path == "/feature-a/"
    assert [app.id for app in apps if app.failed] == []


def test_a_pattern_is_asked_for_with_its_rules(tmp_path: Path) -> None:
    asked: list[Sample] = []

    def find(samples: Sequence[Sample]) -> list[Matches]:
        asked.extend(samples)
        return [Matches()] * len(samples)

    (tmp_path / "apps.yml").write_text(FILE)
    plan(tmp_path / "apps.yml", find_branches=find)
    [sample] = asked
    assert sample.pattern == "feature/*"
    assert sample.rules == BranchRules(max=3, grace="1h", keep=[], exclude=["feature/own"])


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
        found = got(planned(tmp_path), cache).apps
        apps = [app for app in found if isinstance(app, Sourced)]
        assert len(apps) == len(found)
        assert all(Path(app.checkout, "file").exists() for app in apps)
        return [app.commit for app in apps]

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
    apps = planned(tmp_path, text=text)
    got(apps, tmp_path / "cache")
    monkeypatch.setattr(source, "branches", None)
    again = got(apps, tmp_path / "cache").apps
    assert [app.git_branch for app in again if isinstance(app, Sourced)] == ["feature/a"] * 2


def test_a_branch_that_takes_somebodys_path_fails_alone(tmp_path: Path) -> None:
    for branch in ("main", "feature/a", "feature/taken", "feature/own"):
        commit(tmp_path / "web", {"file": branch}, branch)
    failed = {app.id: app.failed for app in planned(tmp_path) if app.failed}
    assert list(failed) == ["web-feature-taken/web"]
    [failure] = failed.values()
    assert failure.step == "source"
    assert "demo.test/feature-taken/ is already the path" in failure.reason


def test_a_branch_whose_namespace_would_be_none_fails_alone(tmp_path: Path) -> None:
    long = f"feature/{'x' * 60}"
    for branch in ("main", "feature/a", long):
        commit(tmp_path / "web", {"file": branch}, branch)
    text = FILE.replace(
        "    branches:", "    namespace: a-long-prefix-{{ branch_slug }}\n    branches:"
    )
    failed = [app for app in planned(tmp_path, text=text) if app.failed]
    assert [app.git_branch for app in failed] == [long]
    assert "namespace" in reason(failed[0])


def test_a_branch_whose_namespace_would_be_the_systems_fails_alone(tmp_path: Path) -> None:
    for branch in ("nginx-ingress", "shop", "slipway-routes"):
        commit(tmp_path / "web", {"file": branch}, branch)
    entry = "{name: web, git_url: web, git_branch: '*', namespace: '{{ branch }}'}"
    found = planned(tmp_path, text=f"version: 1\napps: [{entry}]\n")
    assert [app.git_branch for app in found if not app.failed] == ["shop"]
    why = reason(found[0])
    assert "apps.yml:2 apps[0].namespace: nginx-ingress is that of the ingress" in why


def test_a_branch_is_not_put_into_what_is_another_apps(tmp_path: Path) -> None:
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
    failed = {app.id: reason(app) for app in planned(tmp_path, text=text) if app.failed}
    assert failed.keys() == {"pay-main/web", "shared/web"}
    for name, owner in {"pay-main": "pay", "shared": "other"}.items():
        assert f"apps[0].namespace: {name} is the namespace of {owner}" in failed[f"{name}/web"]


def test_a_branch_whose_name_cannot_be_filled_in_fails_alone(tmp_path: Path) -> None:
    for branch in ("feature/a", "feature/x"):
        commit(tmp_path / "web", {"file": branch}, branch)
    name = "{{ ['shop'][branch.count('x')] }}-{{ branch_slug }}"
    entry = f'{{name: web, git_url: web, git_branch: "feature/*", namespace: "{name}"}}'
    sound, odd = planned(tmp_path, text=f"version: 1\napps: [{entry}]\n")
    assert sound.namespace == "shop-feature-a"
    assert not sound.failed
    assert (odd.git_branch, odd.id) == ("feature/x", "feature/x/web")
    assert "cannot be filled in for the branch 'feature/x'" in reason(odd)


def test_odd_names_of_branches_are_names(tmp_path: Path) -> None:
    names = ["feature/'\"$(x)`", "feature/a\u2028b", "feature/\u00e9\U0001f600", "feature/x\u0085"]
    for name in names:
        commit(tmp_path / "web", {"file": name}, name)
    apps = planned(tmp_path, text=FILE.replace("max: 3", "max: 9"))
    found = {app.git_branch: app for app in got(apps, tmp_path / "cache").apps}
    assert all(isinstance(found[name], Sourced) for name in names)


def test_overlapping_patterns_fail_where_they_meet(tmp_path: Path) -> None:
    commit(tmp_path / "web", {"file": ""}, "feature/a")
    text = """
version: 1
apps:
  - {name: web, git_url: web, git_branch: feature/*}
  - {name: web, git_url: web, git_branch: "*"}
"""
    first, second = planned(tmp_path, text=text)
    assert not first.failed
    assert "is also at" in reason(second)
    assert first.id != second.id


def test_without_an_answer_what_there_is_is_reported_and_stays(tmp_path: Path) -> None:
    own = environment("feature/a")
    own.pattern = pattern_id("web", str(tmp_path / "web"), "feature/*")
    [app] = [app for app in planned(tmp_path, [own]) if app.failed]
    assert app.id == "web-feature-a/web"
    assert str(tmp_path / "web") in reason(app)


def test_without_an_answer_and_an_environment_the_reason_is_told(tmp_path: Path) -> None:
    first, *_ = planned(tmp_path)
    assert (first.git_branch, first.ingress) == ("feature/*", None)
    assert first.failed
    assert first.failed.step == "source"


def test_a_deleted_branch_is_no_app(tmp_path: Path) -> None:
    for branch in ("main", "feature/a", "feature/b"):
        commit(tmp_path / "web", {"file": branch}, branch)
    git(tmp_path / "web", "checkout", "-q", "main")
    git(tmp_path / "web", "branch", "-q", "-D", "feature/a")
    branches = [app.git_branch for app in planned(tmp_path)]
    assert branches == ["feature/b", "feature/own", "main"]


@pytest.mark.parametrize(
    ("before", "after"), [("feature", "feature/login"), ("feature/login", "feature")]
)
def test_a_branch_in_place_of_one_that_was_deleted_is_served_while_that_one_leaves(
    tmp_path: Path, before: str, after: str
) -> None:
    web, cache = tmp_path / "web", tmp_path / "cache"
    text = "version: 1\napps: [{name: web, git_url: web, git_branch: feature*}]\n"
    commit(web, {"file": "main"})
    commit(web, {"file": before}, before)
    got(planned(tmp_path, text=text), cache)
    git(web, "checkout", "-q", "main")
    git(web, "branch", "-q", "-D", before)
    commit(web, {"file": after}, after)

    old = environment(before)
    old.pattern = pattern_id("web", str(web), "feature*")
    find = Finder(lambda: [old], Repositories(cache, Keys(), check=False).branches, NOW)
    [app] = got(plan(tmp_path / "apps.yml", find_branches=find), cache).apps

    assert isinstance(app, Sourced), app.failed
    assert Path(app.checkout, "file").read_text() == after
    assert [left.id for left in find.leaving] == [old.id]
    assert app.id != old.id

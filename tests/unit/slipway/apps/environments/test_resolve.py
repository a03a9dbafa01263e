"""A pattern of branches: what it stands for, and what becomes of environments whose branch left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.environments.resolve import (
    Environment,
    Finder,
    Leaving,
    Repositories,
    Resolved,
    matches,
    resolve,
)
from slipway.apps.names import pattern_id
from slipway.apps.plan.branches import Matches
from slipway.apps.plan.plan import plan
from slipway.apps.source import fetch as source
from slipway.apps.source import git as git_source
from slipway.apps.source.fetch import get_sources
from slipway.apps.source.git_auth import Access, Keys
from slipway.errors import Problem, SlipwayError
from tests.support.git_samples import commit, git

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
URL = "https://git.example.org/web.git"
ID = pattern_id("web", URL, "feature/*")


def sample(**rules: Any) -> dict[str, Any]:
    """The record of a branch that the pattern matches."""
    return {
        "name": "web",
        "git_url": URL,
        "git_auth": None,
        "pattern": "feature/*",
        "branches": {"max": 20, "grace": "24h", "keep": [], "exclude": [], **rules},
    }


def environment(branch: str, **about: Any) -> Environment:
    return Environment(ID, f"web-{branch.replace('/', '-')}", "web", branch, **about)


def resolved(heads: Iterable[str], existing: Iterable[Environment] = (), **rules: Any) -> Resolved:
    return resolve(sample(**rules), heads, existing, NOW)


@pytest.mark.parametrize(
    ("pattern", "branch", "expected"),
    [
        ("feature/*", "feature/cart", True),
        ("feature/*", "feature/shop/cart", True),
        ("feature/*", "feature", False),
        ("feature/*", "old/feature/cart", False),
        ("*", "main", True),
        ("*/urgent", "team/urgent", True),
        ("a.c*", "abc1", False),
        ("main", "main", True),
        ("main", "maintenance", False),
        ("a*a", "a", False),
        ("a*b*c", "a-b-c", True),
        ("a*b*b", "a-b", False),
        ("*a*a*", "aa", True),
        ("*ab*b", "aab", False),
        ("a**b", "ab", True),
        ("*a" * 100, "a" * 250 + "b", False),
    ],
)
def test_a_star_is_any_text(pattern: str, branch: str, expected: bool) -> None:
    assert matches(pattern, branch) is expected


def test_branches_that_match_and_are_not_excluded() -> None:
    heads = ["main", "feature/b", "feature/a", "feature/wip-1"]
    assert resolved(heads, exclude=["feature/wip-*"]).branches == ["feature/a", "feature/b"]


def test_new_branches_wait_where_there_are_enough() -> None:
    heads = [f"feature/{letter}" for letter in "abcd"]
    found = resolved(heads, [environment("feature/d")], max=2)
    assert found.branches == ["feature/a", "feature/d"]
    assert list(found.waiting) == ["feature/b", "feature/c"]
    assert "branches.max" in found.waiting["feature/b"]
    assert found.gone == []


def test_environments_stay_when_fewer_are_allowed() -> None:
    existing = [environment(f"feature/{letter}") for letter in "ab"]
    found = resolved(["feature/a", "feature/b", "feature/c"], existing, max=1)
    assert (found.branches, list(found.waiting)) == (["feature/a", "feature/b"], ["feature/c"])


def test_one_that_is_about_to_go_takes_a_place() -> None:
    found = resolved(["feature/new"], [environment("feature/old")], max=1)
    assert (found.branches, list(found.waiting)) == ([], ["feature/new"])


def test_two_branches_of_the_same_names_do_not_collide() -> None:
    found = resolved(["feature/a-b", "feature/a/b", "feature/A-B"], [environment("feature/a/b")])
    assert found.branches == ["feature/a/b"]
    assert set(found.waiting.values()) == {"its names would be those of feature/a/b"}


def test_grace_begins_when_the_branch_is_first_missed() -> None:
    [left] = resolved([], [environment("feature/old")], grace="2d").leaving
    assert left == Leaving(
        *("web-feature-old/web", "web-feature-old", "web", "feature/old"),
        since="2026-01-31T12:00:00Z",
        until="2026-02-02T12:00:00Z",
    )


@pytest.mark.parametrize(("hours", "stays"), [(23, True), (24, False), (25, False)])
def test_grace_ends(hours: int, stays: bool) -> None:
    old = environment("feature/old", gone_since=NOW - timedelta(hours=hours))
    found = resolved([], [old])
    assert [left.branch for left in found.leaving] == ["feature/old"] * stays
    assert found.gone == [old.id] * (not stays)


def test_no_grace_ends_at_once() -> None:
    found = resolved([], [environment("feature/old")], grace="0m")
    assert (list(found.leaving), found.gone) == ([], ["web-feature-old/web"])


def test_what_is_to_be_kept_stays_for_good() -> None:
    long_ago = NOW - timedelta(days=99)
    marked = environment("feature/x", gone_since=long_ago, kept=True)
    named = environment("feature/demo-1", gone_since=long_ago)
    found = resolved([], [marked, named], keep=["feature/demo-*"])
    assert [(left.branch, left.since, left.until) for left in found.leaving] == [
        ("feature/x", "", ""),
        ("feature/demo-1", "", ""),
    ]


def test_a_branch_that_came_back_is_like_any_other() -> None:
    back = environment("feature/a", gone_since=NOW - timedelta(days=99))
    found = resolved(["feature/a"], [back])
    assert (found.branches, list(found.leaving), list(found.gone)) == (["feature/a"], [], [])


def test_an_excluded_branch_loses_its_environment_at_once() -> None:
    found = resolved(["feature/a"], [environment("feature/a")], exclude=["feature/a"])
    assert (found.branches, list(found.leaving), found.gone) == ([], [], ["web-feature-a/web"])


class Asked:
    """Repositories by URL, and which were asked."""

    def __init__(self, heads: dict[str, list[str]]) -> None:
        self.heads = heads
        self.urls: list[str] = []

    def __call__(self, app: Any) -> dict[str, str]:
        self.urls.append(app["git_url"])
        if app["git_url"] not in self.heads:
            raise SlipwayError(Problem(app["git_url"], "does not answer"))
        return {branch: f"at {branch}" for branch in self.heads[app["git_url"]]}


def test_each_repository_is_asked_once() -> None:
    asked = Asked({URL: ["feature/a", "fix/b"]})
    find = Finder(list, asked, NOW)
    fixes = {**sample(), "pattern": "fix/*"}
    heads = {"feature/a": "at feature/a", "fix/b": "at fix/b"}
    assert find([sample(), fixes]) == [
        Matches(["feature/a"], heads=heads),
        Matches(["fix/b"], heads=heads),
    ]
    assert asked.urls == [URL]


def test_environments_of_another_pattern_are_not_this_ones() -> None:
    other = replace(environment("feature/old"), pattern="another")
    find = Finder(lambda: [other], Asked({URL: []}), NOW)
    assert find([sample()]) == [Matches([])]
    assert (find.leaving, find.gone) == ([], [])


def test_branches_that_wait_are_told_by_name() -> None:
    find = Finder(list, Asked({URL: [f"feature/{n}" for n in range(8)]}), NOW)
    find([sample(max=1)])
    [line] = find.waiting
    names = "feature/1, feature/2, feature/3, feature/4, feature/5 and 2 more"
    assert line.startswith(f"web (feature/*): no environment for {names}: ")


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


NASTY_BRANCHES = [
    "feature/a{{4294967295}",
    "feature/1{{",
    "feature/2{{x}}",
    "feature/3;b",
    'feature/4"',
    "feature/5#b",
    "feature/6$a",
    "feature/7(((",
    "feature/8ü",
    "feature/9\x85",
    f"feature/{'/'.join(['x' * 100] * 12)}",
]


@pytest.mark.parametrize(
    ("path", "host"),
    [("/{{ branch }}/", "demo.test"), ("/", "{{ branch[8:] }}.test"), ("/{{ branch }}/", "x.test")],
)
def test_a_branch_whose_name_is_no_path_or_host_fails_alone(
    tmp_path: Path, path: str, host: str
) -> None:
    text = FILE.replace("/{{ branch_slug }}/", path).replace(
        "host: demo.test", f"host: '{host}'", 1
    )
    records = planned_for(tmp_path, ["feature/a", *NASTY_BRANCHES], text)
    failed = {each["git_branch"]: each["failed"]["reason"] for each in records if "failed" in each}
    assert failed.keys() == {*NASTY_BRANCHES}
    assert all("apps[0].ingress." in reason for reason in failed.values())
    assert [each["ingress"] for each in records if "failed" in each] == [None] * len(failed)
    served = [each["git_branch"] for each in records if "failed" not in each]
    assert served == ["feature/a", "feature/own", "main"]


def planned_for(tmp_path: Path, branches: list[str], text: str) -> list[dict[str, Any]]:
    """The records if the repository had these branches beside those with entries of their own."""
    heads = dict.fromkeys(["main", "feature/own", *branches], "0" * 40)
    (tmp_path / "apps.yml").write_text(text.replace("{max: 3,", "{max: 20,"))
    find = Finder(lambda: [], lambda _: heads, NOW)
    return plan(tmp_path / "apps.yml", find_branches=find)


AFTER_B = "{{ branch.split('b')[1] }}"


@pytest.mark.parametrize(
    ("old", "new", "failing"),
    [
        ("/{{ branch_slug }}/", f"/{AFTER_B}/", "web-feature-c/web"),
        ("    branches:", f"    namespace: w{AFTER_B}\n    branches:", "feature/c/web"),
    ],
)
def test_a_branch_that_a_template_is_not_for_fails_alone(
    tmp_path: Path, old: str, new: str, failing: str
) -> None:
    records = planned_for(tmp_path, ["feature/b1", "feature/c"], FILE.replace(old, new))
    failed = {each["id"]: each["failed"]["reason"] for each in records if "failed" in each}
    assert [*failed] == [failing]
    assert "cannot be filled in for the branch 'feature/c'" in failed[failing]
    assert len(records) == len(["feature/b1", "feature/c", "feature/own", "main"])


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


def test_a_file_with_mistakes_asks_nobody(tmp_path: Path) -> None:
    asked = Asked({})
    (tmp_path / "apps.yml").write_text(FILE.replace("max: 3", "max: many"))
    with pytest.raises(SlipwayError, match="max"):
        plan(tmp_path / "apps.yml", find_branches=Finder(list, asked, NOW))
    assert asked.urls == []


def test_a_deleted_branch_is_no_record(tmp_path: Path) -> None:
    for branch in ("main", "feature/a", "feature/b"):
        commit(tmp_path / "web", {"file": branch}, branch)
    git(tmp_path / "web", "checkout", "-q", "main")
    git(tmp_path / "web", "branch", "-q", "-D", "feature/a")
    branches = [record["git_branch"] for record in planned(tmp_path)]
    assert branches == ["feature/b", "feature/own", "main"]

"""A pattern of branches: what it stands for, and what becomes of environments whose branch left."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from slipway.apps.app import App
from slipway.apps.environments.resolve import (
    Existing,
    Finder,
    Leaving,
    Resolved,
    resolve,
)
from slipway.apps.plan.branches import Matches, Sample, matches
from slipway.apps.plan.plan import plan
from slipway.errors import Problem, SlipwayError
from tests.support.apps import reason
from tests.support.patterns import NOW, URL, environment, sample


def resolved(heads: Iterable[str], existing: Iterable[Existing] = (), **rules: Any) -> Resolved:
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


def test_branches_without_ascii_letters_are_environments_of_their_own() -> None:
    heads = ["feature/кнопка", "feature/按钮", "feature/ボタン", "feature/🚀"]
    found = resolved(heads)
    assert (found.branches, found.waiting) == (sorted(heads), {})


def test_a_branch_of_the_same_names_takes_the_place_of_one_that_is_gone() -> None:
    existing = [environment("feature/a/b"), environment("feature/c")]
    long_ago = [structs.replace(each, gone_since=NOW - timedelta(days=99)) for each in existing]
    for had in (existing, long_ago):
        found = resolved(["feature/a-b", "feature/c"], had, max=2)
        assert found.branches == ["feature/a-b", "feature/c"]
        assert (found.leaving, found.gone) == ([], [])


def test_a_branch_of_the_same_names_takes_nothing_from_one_that_is_kept() -> None:
    found = resolved(["feature/a-b"], [environment("feature/a/b", kept=True)])
    assert found.branches == []
    assert found.waiting == {"feature/a-b": "its names would be those of feature/a/b"}
    assert [left.git_branch for left in found.leaving] == ["feature/a/b"]
    assert found.gone == []


def test_grace_begins_when_the_branch_is_first_missed() -> None:
    [left] = resolved([], [environment("feature/old")], grace="2d").leaving
    assert left == Leaving(
        id="web-feature-old/web",
        name="web",
        namespace="web-feature-old",
        git_branch="feature/old",
        since="2026-01-31T12:00:00Z",
        until="2026-02-02T12:00:00Z",
    )


@pytest.mark.parametrize(("hours", "stays"), [(23, True), (24, False), (25, False)])
def test_grace_ends(hours: int, stays: bool) -> None:
    old = environment("feature/old", gone_since=NOW - timedelta(hours=hours))
    found = resolved([], [old])
    assert [left.git_branch for left in found.leaving] == ["feature/old"] * stays
    assert found.gone == [old.id] * (not stays)


def test_no_grace_ends_at_once() -> None:
    found = resolved([], [environment("feature/old")], grace="0m")
    assert (list(found.leaving), found.gone) == ([], ["web-feature-old/web"])


def test_what_is_to_be_kept_stays_for_good() -> None:
    long_ago = NOW - timedelta(days=99)
    marked = environment("feature/x", gone_since=long_ago, kept=True)
    named = environment("feature/demo-1", gone_since=long_ago)
    found = resolved([], [marked, named], keep=["feature/demo-*"])
    assert [(left.git_branch, left.since, left.until) for left in found.leaving] == [
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

    def __call__(self, app: App) -> dict[str, str]:
        self.urls.append(app.git_url)
        if app.git_url not in self.heads:
            raise SlipwayError(Problem(app.git_url, "does not answer"))
        return {branch: f"at {branch}" for branch in self.heads[app.git_url]}


def test_each_repository_is_asked_once() -> None:
    asked = Asked({URL: ["feature/a", "fix/b"]})
    find = Finder(list, asked, NOW)
    fixes = Sample(structs.replace(sample().app, pattern="fix/*"), sample().rules)
    heads = {"feature/a": "at feature/a", "fix/b": "at fix/b"}
    assert find([sample(), fixes]) == [
        Matches(["feature/a"], heads=heads),
        Matches(["fix/b"], heads=heads),
    ]
    assert asked.urls == [URL]


def test_environments_of_another_pattern_are_not_this_ones() -> None:
    other = structs.replace(environment("feature/old"), pattern="another")
    find = Finder(lambda: [other], Asked({URL: []}), NOW)
    assert find([sample()]) == [Matches([])]
    assert (find.leaving, find.gone) == ([], [])


def test_branches_that_wait_are_told_by_name() -> None:
    find = Finder(list, Asked({URL: [f"feature/{n}" for n in range(8)]}), NOW)
    find([sample(max=1)])
    [line] = find.waiting
    names = "feature/1, feature/2, feature/3, feature/4, feature/5 and 2 more"
    assert line.startswith(f"web (feature/*): no environment for {names}: ")


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


NASTY_BRANCHES = [
    "feature/a{{4294967295}",
    "feature/1{{",
    "feature/2{{x}}",
    "feature/3;b",
    'feature/4"',
    "feature/5#b",
    "feature/6$a",
    "feature/7(((",
    "feature/9\x85",
    f"feature/{'/'.join(['x' * 100] * 12)}",
]


def test_a_branch_is_a_path_in_any_script_and_a_host_in_none_but_latin(tmp_path: Path) -> None:
    branch = "feature/8ü"
    text = FILE.replace("/{{ branch_slug }}/", "/{{ branch }}/")
    [served] = [app for app in planned_for(tmp_path, [branch], text) if app.git_branch == branch]
    assert [rule.path for rule in served.rules] == ["/feature/8%C3%BC/"]
    text = FILE.replace("host: demo.test", "host: '{{ branch[8:] }}.test'", 1)
    [refused] = [app for app in planned_for(tmp_path, [branch], text) if app.git_branch == branch]
    assert "apps[0].ingress." in reason(refused)


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
    apps = planned_for(tmp_path, ["feature/a", *NASTY_BRANCHES], text)
    failed = {each.git_branch: each.failed.reason for each in apps if each.failed}
    assert failed.keys() == {*NASTY_BRANCHES}
    assert all("apps[0].ingress." in reason for reason in failed.values())
    assert [each.ingress for each in apps if each.failed] == [None] * len(failed)
    served = [each.git_branch for each in apps if not each.failed]
    assert served == ["feature/a", "feature/own", "main"]


def planned_for(tmp_path: Path, branches: list[str], text: str) -> list[App]:
    """The apps if the repository had these branches beside those with entries of their own."""
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
    apps = planned_for(tmp_path, ["feature/b1", "feature/c"], FILE.replace(old, new))
    failed = {each.id: each.failed.reason for each in apps if each.failed}
    assert [*failed] == [failing]
    assert "cannot be filled in for the branch 'feature/c'" in failed[failing]
    assert len(apps) == len(["feature/b1", "feature/c", "feature/own", "main"])


def test_a_file_with_mistakes_asks_nobody(tmp_path: Path) -> None:
    asked = Asked({})
    (tmp_path / "apps.yml").write_text(FILE.replace("max: 3", "max: many"))
    with pytest.raises(SlipwayError, match="max"):
        plan(tmp_path / "apps.yml", find_branches=Finder(list, asked, NOW))
    assert asked.urls == []

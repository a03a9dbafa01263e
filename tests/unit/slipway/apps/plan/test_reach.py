"""Which other apps an app of apps.yml may say that it reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.app import Reach
from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError

APPS = """version: 1
apps:
  - name: web
    git_url: /web
    reach: [{reach}]
  - name: orders
    git_url: /orders
    git_branch: feature/*
  - name: customers
    git_url: /customers
"""


def written(folder: Path, reach: str) -> Path:
    path = folder / "apps.yml"
    path.write_text(APPS.format(reach=reach))
    return path


def test_other_apps_are_named(tmp_path: Path) -> None:
    entries = "{app: orders, branch: feature/a, x-why: orders}, {app: customers}"
    [web, _customers] = plan(written(tmp_path, entries))
    assert web.reach == [Reach(app="orders", branch="feature/a"), Reach(app="customers")]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{app: order}", "apps[0].reach[0].app: there is no app order\n    fix: write orders"),
        ("{app: zzz}", "fix: write one of customers, orders, web"),
        (
            "{app: orders, branch: main}",
            "apps[0].reach[0].branch: orders has no entry for the branch main",
        ),
        ("{app: customers, branch: mian}", "fix: write main"),
        ("{branch: main}", "apps[0].reach[0]: lacks the key app"),
        ("{app: orders, port: 80}", "apps[0].reach[0].port: unknown key"),
    ],
)
def test_one_that_is_not_there_is_told_with_the_nearest(
    tmp_path: Path, entry: str, said: str
) -> None:
    with pytest.raises(SlipwayError) as caught:
        plan(written(tmp_path, entry))
    assert said in str(caught.value)


def test_what_all_apps_reach_is_written_once(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.write_text(
        path.read_text().replace("apps:", "defaults: {reach: [{app: customers}]}\napps:")
    )
    [web, customers] = plan(path)
    assert (web.reach, customers.reach) == ([], [Reach(app="customers")])

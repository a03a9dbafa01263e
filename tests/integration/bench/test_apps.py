"""The services of the benchmark of many apps."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import apps
from bench.apps import Pages
from slipway.apps.app import App
from slipway.apps.plan.plan import plan

MANY = 5


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setattr(apps, "MANY", MANY)
    return Pages(tmp_path)


def branches(folder: Path) -> dict[str, str]:
    """The commit of each branch of the services' repository."""
    form = "--format=%(refname:lstrip=2) %(objectname)"
    command = ["git", f"--git-dir={folder}/page.git", "for-each-ref", form]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.rsplit(" ", 1) for line in said.splitlines())


def test_each_change_is_one_commit_on_the_first_service_s_branch(
    pages: Pages, tmp_path: Path
) -> None:
    before = branches(tmp_path)
    assert len(before) == MANY + 1
    for text in ("one", "another"):
        pages.change_one(text)
        after = branches(tmp_path)
        assert {name for name in after if after[name] != before[name]} == {"feature/p0"}
        before = after


def test_as_many_services_are_deployed_as_asked_for_each_from_its_branch(
    pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[App] = []

    def play(_inventory: str, *_playbooks: str, extra: Sequence[str]) -> None:
        planned.extend(plan(Path(extra[0].removeprefix("-eslipway_apps_file="))))

    monkeypatch.setattr(apps, "play", play)
    pages.deploy(3)
    assert [app.git_branch for app in planned] == ["feature/p0", "feature/p1", "feature/p2"]
    assert {app.git_branch for app in planned} < branches(tmp_path).keys()
    assert len({app.id for app in planned}) == 3

"""The services of the benchmark are as many as it says, and one changes at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from bench import folders
from bench.apps import REPEATS
from bench.runs import Run
from slipway.apps.plan.plan import plan
from slipway.apps.source.commands import git


@pytest.mark.parametrize(("repositories", "each"), [(1, 50), (2, 1)])
def test_one_of_the_services_changes_in_each_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repositories: int, each: int
) -> None:
    heads: list[dict[str, str]] = []

    def play(inventory: str, *playbooks: str, extra: Sequence[str]) -> Run:
        apps = plan(tmp_path / "apps.yml")
        assert len(apps) == repositories * each
        assert len({app.git_url for app in apps}) == repositories
        folders_of = {app.git_url for app in apps}
        heads.append({url: git("-C", url, "ls-tree", "main", what=url) for url in folders_of})
        return Run(0, 0, [])

    monkeypatch.setattr(folders, "play", play)
    services = folders.Services(tmp_path, repositories, each)
    services.deploy()
    assert len([*services.changes()]) == REPEATS
    for before, after in pairwise(heads):
        assert len(_lines(before) - _lines(after)) == 1


def _lines(trees: Mapping[str, str]) -> set[str]:
    """The folders of all repositories, each with its repository and its tree."""
    return {f"{url} {line}" for url, text in trees.items() for line in text.splitlines()}

"""Bounds in folders that stand for the kernel's control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.builders.cgroup import bounded


@pytest.mark.parametrize(
    ("there", "files"),
    [
        (["cgroup.controllers"], {"a/memory.max": "7", "a/pids.max": "5"}),
        (
            ["memory/tasks", "pids/tasks"],
            {"memory/a/memory.limit_in_bytes": "7", "pids/a/pids.max": "5"},
        ),
        (["pids/tasks", "unified/cgroup.controllers"], {"pids/a/pids.max": "5"}),
        ([], {}),
    ],
    ids=["version 2", "version 1", "without a controller", "none"],
)
def test_a_group_has_its_bounds(tmp_path: Path, there: list[str], files: dict[str, str]) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with bounded("a", 7, 5, tmp_path) as group:
        assert group == "/a"
        found = [path for path in tmp_path.rglob("*") if path.is_file()]
        text = {str(path.relative_to(tmp_path)): path.read_text() for path in found}
        assert {name: value for name, value in text.items() if value} == files


def test_groups_go_with_those_in_them(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    with bounded("a", 7, 5, tmp_path):
        (tmp_path / "pids/a/pids.max").unlink()  # the kernel's files are no entries of a folder
        (tmp_path / "pids/a/buildkit/one").mkdir(parents=True)
    assert not (tmp_path / "pids/a").exists()


def test_one_that_is_not_empty_keeps_no_build_from_its_end(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    with bounded("a", 7, 5, tmp_path):
        pass
    assert (tmp_path / "pids/a/pids.max").exists()


def test_a_group_stays_until_nobody_needs_it(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    with bounded("a", 7, 5, tmp_path):
        with bounded("a", 7, 5, tmp_path):
            pass
        assert (tmp_path / "pids/a/pids.max").exists()
        (tmp_path / "pids/a/pids.max").unlink()
    assert not (tmp_path / "pids/a").exists()

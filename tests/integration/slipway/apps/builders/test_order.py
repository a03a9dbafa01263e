"""What builds get of a work tree that git has laid out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.apps.app import BuildxBuild
from slipway.apps.builders.order import Order, context_of
from slipway.apps.source.git import Mirror
from tests.support.git_samples import commit


@pytest.fixture(params=[0o077, 0o027, 0o002, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("whole", [True, False])
def test_files_have_the_modes_that_git_knows(tmp_path: Path, whole: bool) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"web/Dockerfile": "", "web/run": "", "web/sub/deep/file": ""})
    (repository / "web" / "run").chmod(0o700)
    (repository / "web" / "link").symlink_to("sub")
    head = commit(repository, {})
    mirror = Mirror(str(repository), tmp_path / "cache")
    mirror.fetch(["main"])
    order = Order(
        "web", "web", mirror.lay_out(head), BuildxBuild(), None, {}, tmp_path / "a", "web", whole
    )
    modes = {".": 0o755, "Dockerfile": 0o644, "run": 0o755}
    modes |= {"sub": 0o755, "sub/deep": 0o755, "sub/deep/file": 0o644}
    for folder in (context_of(order), replace(order, scratch=tmp_path / "b").copy()):
        found = {name: (folder / name).stat().st_mode & 0o7777 for name in modes}
        assert found == modes
        assert (folder / "link").is_symlink()

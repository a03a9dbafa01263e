"""Real servers of a repository that is not for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import git_servers
from tests.support.git_access import TOKEN
from tests.support.git_samples import commit
from tests.support.git_servers import GitHub, Sshd


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare repository ``owner/web.git`` with a branch ``main``."""
    commit(tmp_path / "work", {"file": "content"})
    return git_servers.bare_copy(tmp_path / "work", tmp_path / "served/owner/web.git")


@pytest.fixture
def sshd(tmp_path: Path, repository: Path) -> Iterator[Sshd]:
    with git_servers.sshd(tmp_path) as server:
        yield server


@pytest.fixture
def github(sshd: Sshd) -> Iterator[GitHub]:
    with git_servers.github(sshd, TOKEN) as double:
        yield double

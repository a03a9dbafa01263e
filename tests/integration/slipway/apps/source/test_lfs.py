"""Files of Git LFS, by git-lfs itself: from a folder, and from a server that asks who comes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.support import git_servers
from tests.support.git_access import TOKEN, app_of, get, reason
from tests.support.git_samples import commit

LARGE = "a large file\n" * 1000
SHA256 = hashlib.sha256(LARGE.encode()).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize {len(LARGE)}\n"
FILES = {".gitattributes": "*.bin filter=lfs -text\n", "deep/model.bin": POINTER, "plain": "a\n"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a file of Git LFS, and with what that file is."""
    repository = tmp_path / "own"
    commit(repository, FILES)
    store = repository / ".git" / "lfs" / "objects" / SHA256[:2] / SHA256[2:4] / SHA256
    store.parent.mkdir(parents=True)
    store.write_text(LARGE)
    return repository


def laid_out(tmp_path: Path, url: str, auth: dict[str, str] | None = None) -> Path:
    """The work tree of an app."""
    got = get(tmp_path / "cache", app_of(url, auth), t=TOKEN)
    assert got.apps[0].failed is None, got.apps[0].failed
    (tree,) = (tmp_path / "cache" / "source").glob("*/*")
    return tree


def test_a_folder_gives_its_files(tmp_path: Path, repository: Path) -> None:
    tree = laid_out(tmp_path, str(repository))
    assert (tree / "deep/model.bin").read_text() == LARGE
    assert (tree / "plain").read_text() == "a\n"
    assert not (tree / ".git" / "lfs").exists()


def test_a_server_gives_them_to_who_has_the_token_whatever_the_branch_says(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repository, {".lfsconfig": "[lfs]\n  url = https://localhost:1/elsewhere\n"})
    with git_servers.https(tmp_path / "served", TOKEN, tmp_path) as server:
        git_servers.bare_copy(repository, tmp_path / "served" / "owner" / "web.git")
        (tmp_path / "served" / "lfs").mkdir()
        (tmp_path / "served" / "lfs" / SHA256).write_text(LARGE)
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        tree = laid_out(tmp_path, server.url("owner/web.git"), {"token": "t"})
        assert (tree / "deep/model.bin").read_text() == LARGE
        assert f"/lfs/{SHA256}" in server.requests


def test_without_git_lfs_the_files_are_named(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {f"{number}.bin": POINTER for number in range(6)}
    commit(repository, more)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(os.path.realpath("/usr/bin/git"))
    monkeypatch.setenv("PATH", str(programs))
    got = get(tmp_path / "cache", app_of(str(repository), None))
    assert "0.bin, 1.bin, 2.bin, 3.bin, 4.bin and 2 more are kept by Git LFS" in reason(got)
    assert "install git-lfs" in reason(got)


def test_what_its_server_has_not_got_is_no_source(tmp_path: Path, repository: Path) -> None:
    (repository / ".git/lfs/objects" / SHA256[:2] / SHA256[2:4] / SHA256).unlink()
    got = get(tmp_path / "cache", app_of(str(repository), None))
    assert SHA256 in reason(got) or "deep/model.bin" in reason(got)
    assert not list((tmp_path / "cache" / "source").glob("*/*"))


def test_what_a_branch_leaves_out_is_named(tmp_path: Path, repository: Path) -> None:
    commit(repository, {".lfsconfig": "[lfs]\n  fetchexclude = deep\n"})
    got = get(tmp_path / "cache", app_of(str(repository), None))
    assert "deep/model.bin is not fetched by Git LFS" in reason(got)


def test_a_small_file_of_its_own_is_no_pointer(tmp_path: Path, repository: Path) -> None:
    commit(repository, {"deep/model.bin": "small"})
    tree = laid_out(tmp_path, str(repository))
    assert (tree / "deep/model.bin").read_text() == "small"

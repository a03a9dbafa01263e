"""The sample services of this project as git repositories of their own.

``examples/<name>/main/`` is the tree of the branch main, ``examples/<name>/feature/<topic>/`` has
the files in which the branch ``feature/<topic>`` differs from it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.apps.source.commands import git
from slipway.apps.source.git import author

MAIN = "main"

_AUTHOR = author("Slipway examples", "examples@slipway.test")


@dataclass(frozen=True)
class Repository:
    """A sample's repository and the commit of each branch before and after ("" for none)."""

    path: Path
    before: dict[str, str]
    after: dict[str, str]

    @property
    def changed(self) -> bool:
        """Whether a branch has moved."""
        return self.before != self.after


def make_repositories(examples: Path, repositories: Path, *, check: bool) -> list[Repository]:
    """The repository of every sample in ``examples``, made or updated; see make_repository."""
    folders = sorted(folder.parent for folder in examples.glob(f"*/{MAIN}"))
    with ThreadPoolExecutor() as pool:
        made = pool.map(lambda folder: make_repository(folder, repositories, check=check), folders)
        return list(made)


def make_repository(example: Path, repositories: Path, *, check: bool) -> Repository:
    """Make the bare repository of a sample say what its folder says.

    A branch whose files changed gets one commit more, one whose folder has gone goes too. With
    ``check`` the commits are made in a passing repository and the real one stays as it is. Raises
    SlipwayError.
    """
    path = repositories / f"{example.name}.git"
    before, trees = _heads(path) if path.exists() else ({}, {})
    if not check:
        _create(path)
        return Repository(path, before, _update(path, example, before, trees))
    with tempfile.TemporaryDirectory() as scratch:
        passing = Path(scratch) / "check.git"
        _create(passing)
        if before:
            _git(passing, "fetch", "--quiet", str(path), "+refs/heads/*:refs/heads/*")
        return Repository(path, before, _update(passing, example, before, trees))


def _create(path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--bare", f"--initial-branch={MAIN}", path, what=str(path))


def _heads(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The commit of each branch, and its tree."""
    each = "--format=%(refname:lstrip=2) %(objectname) %(tree)"
    lines = _git(path, "for-each-ref", each, "refs/heads").splitlines()
    found = [line.rsplit(" ", 2) for line in lines]
    return {branch: commit for branch, commit, _ in found}, {each[0]: each[2] for each in found}


def _update(
    path: Path, example: Path, before: dict[str, str], trees: dict[str, str]
) -> dict[str, str]:
    """Move the branches to where the files are, and return all of them."""
    after: dict[str, str] = {}
    features = sorted(each for each in (example / "feature").glob("*") if each.is_dir())
    for folder in (example / MAIN, *features):
        branch = folder.relative_to(example).as_posix()
        layers = dict.fromkeys([example / MAIN, folder])
        with _index() as index:
            for layer in layers:
                _git(path, f"--work-tree={layer}", "add", "--ignore-removal", ".", **index)
            tree = _git(path, "write-tree", **index).strip()
        if tree == trees.get(branch):
            after[branch] = before[branch]
            continue
        parent = before.get(branch) or after.get(MAIN)
        parents = ["-p", parent] if parent else []
        words = f"{example.name}: the files of {branch}"
        commit = _git(path, "commit-tree", *parents, "-m", words, tree, **_AUTHOR).strip()
        _git(path, "update-ref", f"refs/heads/{branch}", commit)
        after[branch] = commit
    for branch in before.keys() - after.keys():
        _git(path, "update-ref", "-d", f"refs/heads/{branch}")
    return after


@contextmanager
def _index() -> Iterator[dict[str, str]]:
    """An empty index of git's, as the environment variable that names it."""
    with tempfile.TemporaryDirectory() as scratch:
        yield {"GIT_INDEX_FILE": f"{scratch}/index"}


def _git(path: Path, *arguments: str, **env: str) -> str:
    """Run git on a repository, without what the user's own settings make of files."""
    plain = ("-c", "core.excludesFile=", "-c", "core.autocrlf=false")
    return git(*plain, f"--git-dir={path}", *arguments, what=str(path), env=env)

"""Repositories on this machine, and what their users have not committed yet.

The files of a clone as they are become a commit that only the mirror has: the clone's own objects,
index and branches stay as they are.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from slipway.apps.source.git import Mirror, author, branches, git
from slipway.errors import SlipwayError

_AUTHOR = author("Slipway", "dev@slipway.test")


def heads_of(mirror: Mirror) -> dict[str, str]:
    """The newest commit of each branch of a mirror's repository, which is a folder.

    That of the branch that is checked out there has what is not committed; before the mirror was
    made, it does not. Raises SlipwayError when it cannot be read.
    """
    heads = branches(mirror.url)
    if Path(mirror.url, ".git").exists() and mirror.path.exists():
        branch = _git(mirror, "branch", "--show-current").strip()
        if branch in heads:
            heads[branch] = _as_it_is(mirror, branch, heads[branch])
    return heads


def git_folder(path: Path) -> Path | None:
    """The folder in which a repository has its branches; None if it is no repository."""
    try:
        shared = git("-C", path, "rev-parse", "--git-common-dir", what=str(path)).strip()
    except SlipwayError:
        return None
    return (path / shared).resolve()


def _as_it_is(mirror: Mirror, branch: str, head: str) -> str:
    """The commit ``head`` of the ``branch``, or one on it with the files that differ."""
    if mirror.trees([head]) == [None]:
        mirror.fetch([branch])
    # Not the clone's own index: what is staged there would be taken to be in the mirror already.
    # It is kept, since with it git reads only files that have changed since.
    kept = mirror.path / "slipway-index"
    with tempfile.TemporaryDirectory(dir=mirror.path) as scratch:
        index = Path(scratch) / "index"
        if kept.exists():
            shutil.copy2(kept, index)
        own = {
            "GIT_INDEX_FILE": str(index),
            "GIT_OBJECT_DIRECTORY": str(mirror.path / "objects"),
        }
        _git(mirror, "read-tree", "--reset", head, **own)
        _git(mirror, "add", "--all", **own)
        tree = _git(mirror, "write-tree", **own).strip()
        index.replace(kept)
        if [tree] == mirror.trees([head]):
            return head
        words = f"{branch}, as it is on {head[:7]}"
        return _git(mirror, "commit-tree", "-p", head, "-m", words, tree, **_AUTHOR, **own).strip()


def _git(mirror: Mirror, *arguments: str, **env: str) -> str:
    """Run git in the folder that is mirrored."""
    return git("-C", mirror.url, *arguments, what=mirror.url, env=env)

"""Repositories on this machine, and what their users have not committed yet.

The files of a clone as they are become a commit that only the mirror has: the clone's own objects,
index and branches stay as they are. What a clone configures (hooks, filters, a file system monitor)
counts as for its user, but not if it is another user's: that one would have its way with this one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from slipway.apps.source.commands import git
from slipway.apps.source.git import Mirror, author, branches, trusting
from slipway.errors import SlipwayError
from slipway.files import flush

_AUTHOR = author("Slipway", "dev@slipway.test")


def heads_of(mirror: Mirror) -> dict[str, str]:
    """The newest commit of each branch of a mirror's repository, which is a folder.

    That of the branch that is checked out there has what is not committed; before the mirror was
    made, it does not. Raises SlipwayError when it cannot be read.
    """
    heads = branches(mirror.url)
    if Path(mirror.url, ".git").exists() and mirror.path.exists():
        branch = _asked(mirror.url, "branch", "--show-current")
        if branch in heads:
            heads[branch] = _as_it_is(mirror, branch, heads[branch])
    return heads


def git_folder(path: Path) -> Path | None:
    """The folder in which a repository has its branches; None if it is no repository."""
    try:
        shared = _asked(str(path), "rev-parse", "--git-common-dir")
    except SlipwayError:
        return None
    return (path / shared).resolve()


def _as_it_is(mirror: Mirror, branch: str, head: str) -> str:
    """The commit ``head`` of the ``branch``, or one on it with the files that differ."""
    if mirror.trees([head]) == [None]:
        mirror.fetch([branch])
    place = _place(mirror)

    def run(*arguments: str, **env: str) -> str:
        return git(*place, *arguments, what=mirror.url, env=env).strip()

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
        run("read-tree", "--reset", head, **own)
        run("add", "--all", **own)
        tree = run("write-tree", **own)
        flush(index)
        index.replace(kept)
        if [tree] == mirror.trees([head]):
            return head
        words = f"{branch}, as it is on {head[:7]}"
        return run("commit-tree", "-p", head, "-m", words, tree, **_AUTHOR, **own)


def _place(mirror: Mirror) -> list[str]:
    """The options by which git finds the files of a clone, and the configuration that counts."""
    url = mirror.url
    if all(path.lstat().st_uid == os.geteuid() for path in (Path(url), Path(url, ".git"))):
        return ["-C", url]
    exclude = Path(url, _asked(url, "rev-parse", "--git-path", "info/exclude"))
    ignored = ["-c", f"core.excludesFile={exclude}"]
    return ["-C", url, f"--git-dir={mirror.path.absolute()}", f"--work-tree={url}", *ignored]


def _asked(url: str, *arguments: str) -> str:
    """What git says about a clone, whoever owns it; it runs nothing for that."""
    return git(*trusting(url), "-C", url, *arguments, what=url).strip()

"""Files that Git LFS keeps beside a repository, which has nothing but pointers to them.

They come from the repository's own server, by its access. A ``.lfsconfig`` may name another one,
but whoever can push writes that, and would be told who the operator is.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from slipway.apps.source.commands import git, local_path
from slipway.apps.source.git_auth import Access
from slipway.errors import Problem, SlipwayError
from slipway.text import listed

AS_POINTERS = (
    *("-c", "filter.lfs.process="),
    *("-c", "filter.lfs.smudge="),
    *("-c", "filter.lfs.required=false"),
)
"""The options by which git lays out pointers, whatever its user has set up."""

_BEGINNING = b"version https://git-lfs.github.com/spec/"
_LONGEST = 1024
"""How a pointer begins and how long it is at most, by
https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md."""

_AS_FILES = (
    *("-c", "filter.lfs.clean=git-lfs clean -- %f"),
    *("-c", "filter.lfs.smudge=git-lfs smudge -- %f"),
    *("-c", "filter.lfs.required=true"),
)
"""What ``git lfs install`` would set up for the user, without which git-lfs lays out nothing."""


def fetch(tree: Path, url: str, access: Access) -> None:
    """Have a work tree of the repository ``url`` hold the files themselves.

    Raises SlipwayError, which names them, where git-lfs is not there or does not get them.
    """
    lacking = _pointers(tree, url)
    if not lacking:
        return
    if shutil.which("git-lfs") is None:
        fix = "install git-lfs on this machine, or keep them in git itself"
        raise SlipwayError(Problem(url, f"{_named(lacking)} kept by Git LFS", fix))
    store = ("-c", f"lfs.url={_store(url)}")
    try:
        git("-C", tree, *_AS_FILES, *store, "lfs", "pull", what=url, env=access.env)
    except SlipwayError as error:
        raise access.explained(error, url) from error
    if lacking := _pointers(tree, url):
        fix = "push them with git lfs push, and have .lfsconfig leave none out"
        raise SlipwayError(Problem(url, f"{_named(lacking)} not fetched by Git LFS", fix))
    # Builds get copies of the work tree, which would have everything twice.
    shutil.rmtree(tree / ".git" / "lfs", ignore_errors=True)


def _pointers(tree: Path, url: str) -> list[str]:
    """The files that are to be of Git LFS, and are still pointers."""
    asked = ("ls-files", "-z", "--", ":(top,attr:filter=lfs)")
    names = git("-C", tree, *asked, what=url).split("\0")[:-1]
    return [name for name in names if _is_pointer(tree / name)]


def _is_pointer(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LONGEST:
        return False
    return path.read_bytes().startswith(_BEGINNING)


def _named(files: list[str]) -> str:
    """Some files by their names, with the verb."""
    return f"{listed(files)} {'is' if len(files) == 1 else 'are'}"


def _store(url: str) -> str:
    """Where a repository's server has the files, as git-lfs finds it by itself."""
    local = local_path(url)
    if local is not None:
        return f"file://{local.resolve()}"
    if re.match(r"https?://", url):
        return f"{url.rstrip('/').removesuffix('.git')}.git/info/lfs"
    return url

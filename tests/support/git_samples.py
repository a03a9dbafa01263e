"""Git repositories for the tests, made by git itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@slipway.test"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, files: Mapping[str, str], branch: str = "main") -> str:
    """Commit files to a branch, made from where the repository is when it is new; the commit."""
    if not folder.exists():
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", branch)
    elif branch not in git(folder, "branch", "--format=%(refname:short)").splitlines():
        git(folder, "checkout", "-q", "-b", branch)
    else:
        git(folder, "checkout", "-q", branch)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "files")
    return git(folder, "rev-parse", "HEAD")


def give_away(folder: Path) -> None:
    """Make a folder, with all that is in it, another user's; only root can."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 1000, 1000, follow_symlinks=False)

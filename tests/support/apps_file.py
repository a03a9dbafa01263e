"""Files of apps as a developer changes them, and git repositories that they name."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.support.checkout import PROJECT

Apps = list[dict[str, Any]]


def entries_of(path: Path) -> Apps:
    """The apps of another file, each with the defaults of that file, as they may stand anywhere."""
    content = yaml.safe_load(path.read_text())
    return _anywhere([{**content.get("defaults", {}), **app} for app in content["apps"]], path)


def _anywhere(apps: Apps, path: Path) -> Apps:
    """The apps of a file, of which folders are seen from wherever it is."""
    return [{**app, "git_url": str(path.parent / app["git_url"])} for app in apps]


class AppsFile:
    """Copies of the cluster's apps.yml in a folder of their own."""

    def __init__(self, original: Path, folder: Path) -> None:
        self._original = original
        self._folder = folder

    def changed(self, change: Callable[[Apps], object]) -> Path:
        """A copy with its list of apps changed by ``change``."""
        content = yaml.safe_load(self._original.read_text())
        content["apps"] = _anywhere(content["apps"], self._original)
        change(content["apps"])
        path = self._folder / "apps.yml"
        path.write_text(yaml.safe_dump(content))
        return path

    def write(self, name: str, content: bytes) -> None:
        """Have a file beside the copies."""
        (self._folder / name).write_bytes(content)

    def repository(self, name: str, files: dict[str, str], *, like: str = "", at: str = ".") -> str:
        """A repository with one commit on ``main``: files, over the example ``like`` in ``at``."""
        folder = self._folder / name
        if like:
            shutil.copytree(PROJECT / "examples" / like / "main", folder / at)
        folder.mkdir(exist_ok=True)
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
        self.commit(name, files)
        return str(folder)

    def commit(self, name: str, files: dict[str, str], branch: str = "") -> None:
        """Commit files to a repository, on a branch that is made where it is if it is new."""
        folder = self._folder / name
        git = ["git", "-c", "user.name=Test", "-c", "user.email=test@slipway.test"]
        if branch:
            known = subprocess.run(
                [*git, "show-ref", "--quiet", f"refs/heads/{branch}"], cwd=folder, check=False
            )
            new = ["-b"] if known.returncode else []
            subprocess.run([*git, "checkout", "-q", *new, branch], cwd=folder, check=True)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        for call in (["add", "."], ["commit", "-qm", "files"]):
            subprocess.run([*git, *call], cwd=folder, check=True)

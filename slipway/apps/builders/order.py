"""What a builder gets and what it gives back."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from slipway.apps.app import Build, BuildxBuild
from slipway.apps.builders.bases import Base
from slipway.apps.builders.logins import Logins
from slipway.apps.source.commands import git
from slipway.apps.source.project import found
from slipway.errors import Problem, SlipwayError
from slipway.oci import Image, machine_platform

_SHARED = Path(".git", "objects", "info", "alternates")
"""The file in which git notes where else objects are (gitrepository-layout(5))."""

B_co = TypeVar("B_co", bound=Build, covariant=True)
B_contra = TypeVar("B_contra", bound=Build, contravariant=True)


@dataclass(frozen=True)
class Order(Generic[B_co]):
    """One image to build.

    ``label`` names the app in messages, ``repository`` is the key of where it comes from: whoever
    can write there is trusted with what other builds of it left, and nobody else. ``checkout`` is
    its work tree, which stays as it is,
    ``build`` is what apps.yml says of it, ``secrets`` the values by the id under which the build
    asks for them, ``logins`` who it is to registries, and ``scratch`` is a folder that is removed
    afterwards. ``folder`` is that of
    the project, seen from the checkout; unless it gets the ``whole`` checkout, a build gets that
    folder alone, since its image is known by that. ``images`` were made of the app before, and
    ``platform`` is what it is for, as ``linux/amd64``. In ``artifacts`` is what Maven downloaded
    before for builds of the repository, and for no others.
    """

    label: str
    repository: str
    checkout: Path
    build: B_co
    base: Base | None
    secrets: Mapping[str, str]
    scratch: Path
    folder: str = "."
    whole: bool = True
    images: Sequence[Image] = ()
    platform: str = field(default_factory=machine_platform)
    logins: Logins = field(default_factory=dict)
    artifacts: Path | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether the image is for another platform than this machine's."""
        return self.platform != machine_platform()

    @property
    def project(self) -> Path:
        """The project in the work tree."""
        return self.checkout / self.folder

    @property
    def source(self) -> Path:
        """What of the work tree a build gets."""
        return self.checkout if self.whole else self.project

    @property
    def objects(self) -> Path | None:
        """Where the work tree's repository finds the objects that it shares with its mirror."""
        shared = self.checkout / _SHARED
        return Path(shared.read_text().splitlines()[0]) if shared.is_file() else None

    def copy_apart(self, place: Path, objects: str) -> None:
        """Copy as :meth:`copy_to` does, for a place where the shared objects are elsewhere."""
        self.copy_to(place)
        if self.objects:
            (place / _SHARED).write_text(f"{objects}\n")

    def copy(self, *, with_git: bool = True) -> Path:
        """The project in a copy to build in, with or without git's own files."""
        place = self.scratch / "source"
        self.copy_to(place, with_git=with_git)
        return place / self.folder

    def copy_to(self, place: Path, *, with_git: bool = True) -> None:
        """Copy what a build gets to where the work tree would be at ``place``.

        Modes are those that git knows, for images have them and are used by others: the umask is
        that of whoever laid out the work tree.
        """
        ignored = None if with_git else shutil.ignore_patterns(".git")
        target = place / self.source.relative_to(self.checkout)
        shutil.copytree(self.source, target, symlinks=True, ignore=ignored, dirs_exist_ok=True)
        _set_modes(target)
        if with_git and not self.whole:
            self._copy_git(place)

    def _copy_git(self, place: Path) -> None:
        """Have git know the copy of a folder, and not miss the files that are not in it."""
        for above in reversed(self.project.relative_to(self.checkout).parents):
            files = self.checkout / above / ".git"
            if files.is_dir():
                shutil.copytree(files, place / above / ".git", symlinks=True)
            elif files.exists():
                shutil.copy2(files, place / above / ".git")
        if (place / ".git").exists():
            others = f":(exclude,literal){self.folder}"
            # Quoted, since names need not be text.
            named = ("-c", "core.quotePath=true", "ls-files", "--", others)
            listed = git("-C", place, *named, what=self.label)
            absent = ("update-index", "--skip-worktree", "--stdin")
            git("-C", place, *absent, what=self.label, stdin=listed)


def _set_modes(folder: Path) -> None:
    folder.chmod(0o755)
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for path in (Path(place, name) for name in (*folders, *files)):
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                path.chmod(0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644)


def context_of(order: Order[BuildxBuild]) -> Path:
    """A copy of the folder to build, whose Dockerfile is known to be in the repository.

    Raises SlipwayError.
    """
    # Git's own files differ from clone to clone and would spoil a builder's cache.
    order.copy(with_git=False)
    root, name = order.scratch / "source", order.build.context
    folder = found(root, str(Path(order.folder, name)), order.label)
    if folder is None or not folder.is_dir():
        raise SlipwayError(Problem(order.label, f"has no folder {name}"))
    dockerfile = folder / order.build.dockerfile
    found(root, str(dockerfile.relative_to(root.resolve())), order.label)
    return folder


class Builder(Protocol[B_contra]):
    """Has an image made; ``doing`` is what progress lines call that."""

    doing: str

    def build(self, order: Order[B_contra]) -> Path:
        """Return the image as an archive, which stays as it is, or as an OCI layout directory
        below the order's scratch folder, whose files may be linked and not copied.

        Raises SlipwayError.
        """

"""The folder of a repository that is an app's project, and whether that needs what is around it.

Most projects are complete in their folder. A Maven project need not be: its parent, its settings,
or files that it names may be above the folder.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from slipway.apps.app import BuildxBuild, JibBuild
from slipway.apps.source.pom import Pom
from slipway.errors import Problem, SlipwayError
from slipway.files import Refused, inside
from slipway.text import listed

POM = "pom.xml"

DETECTED = {POM: JibBuild, "Dockerfile": BuildxBuild}
"""The builder that a file in a project's folder stands for; the first one there counts."""


_BETWEEN_PATHS = re.compile(r"""[\s<>"'=,;:]+""")
_UPWARD = re.compile(r"(?<![\w.])\.\.(?![\w.])")
_BASE = re.compile(r"\$\{(?:project\.)?basedir\}")


def find(checkout: Path, git_path: str, where: str) -> str:
    """The folder ``git_path`` of a checkout, seen from there, with links followed.

    Raises SlipwayError, of ``where``, when there is none, with those that may have been meant.
    """
    place = folder_in(checkout, git_path)
    if place is not None:
        return place
    path, what = checkout / git_path, f"has no folder {git_path}"
    if path.is_file():
        what = f"has a file {git_path}, not a folder"
    elif path.exists():
        what = f"has a link {git_path} that leads out of it"
    raise SlipwayError(Problem(where, what, _meant(checkout, git_path)))


def folder_in(top: Path, path: str) -> str | None:
    """The folder at a path below ``top``, seen from there, with links followed, if there is one."""
    folder = os.path.relpath(os.path.realpath(top / path), os.path.realpath(top))
    inside = {"..", ".git"}.isdisjoint(PurePosixPath(folder).parts)
    return folder if inside and (top / folder).is_dir() else None


def found(root: Path, name: str, label: str) -> Path | None:
    """Where a file or folder of a repository really is, None when there is none of that name.

    Raises SlipwayError, of ``label``, when it leads out of the repository or is not to be read.
    """
    if not os.path.lexists(root / name):
        return None
    try:
        return inside(root, name)
    except Refused as error:
        fix = "put the file itself into the repository"
        raise SlipwayError(Problem(label, f"{name} cannot be read: {error}", fix)) from error


def _meant(checkout: Path, git_path: str) -> str:
    """Which folder may have been meant."""
    folders = list(projects(checkout))
    near = difflib.get_close_matches(git_path, folders, n=1)
    meant = [f"did you mean {each}?" for each in near]
    if not folders:
        return f"no folder of it has a {' or a '.join(DETECTED)}"
    return " ".join([*meant, f"{' or '.join(DETECTED)} is in {listed(folders)}"])


def projects(checkout: Path, files: Sequence[str] = (*DETECTED,)) -> Iterator[str]:
    """The folders of a checkout that have one of ``files``, seen from there."""
    for folder, folders, names in os.walk(checkout):
        folders[:] = sorted({*folders} - {".git"})
        if not {*files}.isdisjoint(names):
            yield os.path.relpath(folder, checkout)


def lacking(label: str, checkout: Path, folder: str, files: Sequence[str], fix: str) -> Problem:
    """That a project has none of ``files``; if other folders have, how to name one of them."""
    names = f"neither {' nor '.join(files)}" if len(files) > 1 else f"no {files[0]}"
    place = "at the top of its repository" if folder == "." else f"in {folder}"
    what = f"has {names} {place}"
    if others := list(projects(checkout, files)):
        has = "there are some in" if len(others) > 1 else "there is one in"
        what, fix = f"{what}; {has} {listed(others)}", f"write git_path: {others[0]}"
    return Problem(label, what, fix)


def poms(folder: Path, checkout: Path, label: str) -> Mapping[Path, Pom]:
    """The poms in a folder, and their parents as far as the checkout has them.

    Raises SlipwayError, of ``label``, when one is not to be read.
    """
    read: dict[Path, Pom] = {}
    left = sorted(folder.rglob(POM))
    while left:
        path = left.pop(0)
        place = found(checkout, os.path.relpath(path, checkout), label)
        if path not in read and place and place.is_file():
            read[path] = pom = Pom.read(place)
            left += _parent(path, pom, checkout)
    return read


def _parent(path: Path, pom: Pom, checkout: Path) -> list[Path]:
    """The pom of a pom's parent, unless Maven finds it elsewhere."""
    wanted = pom.parent
    if wanted is None or wanted.path == "":
        return []
    parent = Path(os.path.normpath(path.parent / (wanted.path or f"../{POM}")))
    if parent.is_dir():
        parent /= POM
    if not (_is_inside(parent, checkout) and parent.is_file()):
        return []
    # At this place there may also be another project's.
    return [parent] if Pom.read(parent).artifact in (wanted.artifact, "") else []


def needs_more(folder: Path, checkout: Path, label: str, arguments: Sequence[str] = ()) -> bool:
    """Whether a Maven project's build needs files of the checkout that are not in its folder.

    ``arguments`` are more of Maven's. When in doubt, it does.
    """
    settings = folder / ".mvn"
    above = [each for each in folder.parents if each.is_relative_to(checkout)]
    if not settings.is_dir() and any((each / ".mvn").is_dir() for each in above):
        return True
    all_poms = poms(folder, checkout, label)
    if any(not path.is_relative_to(folder) for path in all_poms):
        return True
    texts = [(path.parent, text) for path, pom in all_poms.items() for text in pom.texts()]
    names = [os.path.relpath(path, checkout) for path in sorted(settings.glob("*"))]
    files = [found(checkout, name, label) for name in names]
    texts += [(folder, _text(path)) for path in files if path and path.is_file()]
    texts += [(folder, argument) for argument in arguments]
    return any(_leads_out(folder, *text) for text in texts) or _has_link_out(folder, checkout)


def _leads_out(folder: Path, seen_from: Path, text: str) -> bool:
    """Whether a text names a path that leads out of the folder."""
    for path in filter(_UPWARD.search, {*_BETWEEN_PATHS.split(text)}):
        named = _BASE.sub(".", path)
        place = Path(os.path.normpath(seen_from / named))
        if "${" in named or not place.is_relative_to(folder):
            return True
    return False


def _has_link_out(folder: Path, checkout: Path) -> bool:
    """Whether a link in the folder leads to another place of the checkout."""
    return any(
        path.is_symlink() and _is_inside(path, checkout) and not _is_inside(path, folder)
        for place, folders, names in os.walk(folder)
        for path in (Path(place, name) for name in (*folders, *names))
    )


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path leads into a folder, with links followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _text(path: Path) -> str:
    """The text of a file of Maven's without its comments."""
    first, *others = path.read_text(errors="replace").split("<!--")
    return first + "".join(other.partition("-->")[2] for other in others)

"""The lock of Debian's packages: which were recorded last, and what has become of them since.

Debian changes packages of a release for faults in them, and has the ones before no longer. So the
lock does not choose: what is fetched is what the archive has, which is signed. It says what is
another one than before, and has a new content under the same version refused, which no archive of
Debian's ever has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from slipway.architecture import Architecture
from slipway.bundle.debian import Package, Packages
from slipway.errors import Problem, SlipwayError
from slipway.text import listed

Locked = Mapping[tuple[str, str], tuple[str, str]]
"""Version and sha256 of packages by name and architecture."""

_HEAD = (
    '# Made by "make lock": the packages of Debian\'s that images are made of; it is not edited.\n'
)

_ANY = "all"
"""The architecture of packages that are for any processor."""

_SHOWN = 10
"""How many changes a line names."""


def read(path: Path) -> Locked:
    """What a lock has; nothing where there is none."""
    if not path.exists():
        return {}
    lines = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {(name, kind): (version, sha256) for name, version, kind, sha256 in filter(_is, lines)}


def _is(words: list[str]) -> bool:
    return bool(words) and words[0] != "#"


def as_text(found: Iterable[Packages], before: Locked) -> str:
    """The lock of these packages, and of what it had ``before`` for other processors.

    Packages for any processor stay with those, which may need more of them.
    """
    now = {
        (name, each.architecture): (each.version, each.sha256)
        for packages in found
        for name, each in packages.items()
    }
    kinds = {kind for _name, kind in now}
    others = {key: value for key, value in before.items() if key[1] not in {*kinds, _ANY}}
    if others:
        others |= {key: value for key, value in before.items() if key[1] == _ANY}
    lines = (
        f"{name} {version} {kind} {sha256}\n"
        for (name, kind), (version, sha256) in sorted((others | now).items())
    )
    return _HEAD + "".join(lines)


def refuse_forged(image: str, packages: Packages, locked: Locked) -> None:
    """Raise SlipwayError for packages that have another content than under that version before."""
    problems = []
    for name, each in sorted(packages.items()):
        version, sha256 = _of(name, each, locked)
        if version == each.version and sha256 != each.sha256:
            what = f"{name} {version} has the sha256 {each.sha256}, and had {sha256}"
            fix = "find out what stands between this machine and Debian's archive"
            problems.append(Problem(f"packages of {image}", what, fix))
    if problems:
        raise SlipwayError(problems)


def changes(found: Iterable[Packages], locked: Locked, *, strict: bool = False) -> list[str]:
    """What of the packages has another version than in a lock, or is not in it, as texts.

    Of a processor for which nothing was recorded there is nothing to say, unless it is ``strict``.
    """
    texts, kinds = set(), {kind for _name, kind in locked}
    for packages in found:
        recorded = bool(kinds & {each.architecture for each in packages.values()} - {_ANY})
        for name, each in packages.items():
            version, _sha256 = _of(name, each, locked)
            if version != each.version and (strict or recorded or version):
                texts.add(f"{name} {version or 'new'} -> {each.version}")
    return sorted(texts)


def told(changed: list[str], path: Path) -> str:
    """A line of changes."""
    shown = listed(changed, _SHOWN)
    return f"{len(changed)} of Debian's packages are not as in {path.name}: {shown}"


def mend(architecture: Architecture) -> str:
    """How to have a lock of what the archive has for an architecture."""
    own = architecture is Architecture.here()
    arguments = "" if own else f' ARGS="debian --architecture={architecture}"'
    return f"make lock{arguments} records what the archive has now"


def _of(name: str, package: Package, locked: Locked) -> tuple[str, str]:
    return locked.get((name, package.architecture), ("", ""))

"""The list of what a directory must hold, with sha256 sums, and the check against it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from slipway.files import write_whole

MANIFEST = "manifest.json"


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has(path: Path, sha256: str) -> bool:
    """Whether there is a file with this content."""
    return path.is_file() and sha256_of(path) == sha256


def _files(root: Path) -> Iterator[Path]:
    return (
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).as_posix() != MANIFEST
    )


def _sums(root: Path, names: list[str]) -> dict[str, str | None]:
    """Each name's sha256, or None where there is no such file."""
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        paths = [root / name for name in names]
        sums = pool.map(lambda path: sha256_of(path) if path.is_file() else None, paths)
        return dict(zip(names, sums, strict=True))


def write(root: Path, about: dict[str, Any]) -> None:
    """Write ``root``'s manifest: every file below it, and ``about`` (versions and the like)."""
    names = [path.relative_to(root).as_posix() for path in _files(root)]
    document = {"about": about, "sha256": _sums(root, names)}
    text = json.dumps(document, indent=1, sort_keys=True)
    (root / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read(root: Path) -> dict[str, Any] | None:
    """``root``'s manifest, or None where there is none that can be read."""
    try:
        document: dict[str, Any] = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document


def is_there(root: Path) -> bool:
    """Whether a directory has a manifest, and so is finished."""
    return (root / MANIFEST).is_file()


def parts(root: Path) -> list[str] | None:
    """The names of the parts that a bundle was made of, or None where it does not say."""
    found: list[str] | None = (read(root) or {}).get("about", {}).get("parts")
    return found


def damaged(root: Path) -> list[str] | None:
    """The names of files that are missing or not as the manifest says.

    None means that there is no manifest, so nothing is known about ``root``. A file is read again
    only if something has happened to it since it was last found right.
    """
    document = read(root)
    if document is None:
        return None
    expected: dict[str, str] = document["sha256"]
    now = {name: _state(root / name) for name in expected}
    seen = _Seen(root)
    unread = [name for name in expected if now[name] is None or now[name] != seen.states.get(name)]
    found = _sums(root, unread)
    wrong = [name for name in unread if found[name] != expected[name]]
    if unread:
        seen.write({name: state for name, state in now.items() if name not in wrong})
    return wrong


class KnownSums:
    """The sha256 of files, without reading those that a manifest above them tells of.

    Its word counts for as long as nothing has happened to a file since it was found right.
    """

    def __init__(self) -> None:
        self._roots: dict[Path, tuple[dict[str, str], dict[str, list[int]]]] = {}

    def of(self, path: Path) -> str:
        """The sha256 of a file's content, in hex."""
        for root in path.parents:
            if is_there(root):
                expected, seen = self._known(root)
                name = path.relative_to(root).as_posix()
                if name in expected and seen.get(name) == _state(path):
                    return expected[name]
        return sha256_of(path)

    def _known(self, root: Path) -> tuple[dict[str, str], dict[str, list[int]]]:
        if root not in self._roots:
            expected = (read(root) or {}).get("sha256", {})
            self._roots[root] = expected, _Seen(root).states
        return self._roots[root]


def _state(path: Path) -> list[int] | None:
    """What changes whenever a file does, without reading it; None where there is none.

    The time of the last change (ctime) is the kernel's own: a program that sets the time of the
    last modification back does not set it back.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


class _Seen:
    """The states in which the files of a directory were found right, kept beside it."""

    def __init__(self, root: Path) -> None:
        self._path = root.with_name(f"{root.name}.seen")
        try:
            self.states: dict[str, list[int]] = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            self.states = {}

    def write(self, states: dict[str, list[int] | None]) -> None:
        """Keep these; nothing is lost where that cannot be written."""
        with contextlib.suppress(OSError):
            write_whole(self._path, json.dumps(states))

"""The list of what a directory must hold, with sha256 sums, and the check against it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def damaged(root: Path) -> list[str] | None:
    """The names of files that are missing or not as the manifest says.

    None means that there is no manifest, so nothing is known about ``root``.
    """
    document = read(root)
    if document is None:
        return None
    expected: dict[str, str] = document["sha256"]
    found = _sums(root, list(expected))
    return [name for name, digest in expected.items() if found[name] != digest]

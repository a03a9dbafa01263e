"""Keys: a digest of everything that decides what a cached thing is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path


def _described(value: object) -> Iterator[tuple[str, object]]:
    """``value`` as names and contents; a directory is all the files in it."""
    if not isinstance(value, Path):
        yield "value", value
    elif value.is_symlink():
        yield value.name, str(value.readlink())
    elif value.is_dir():
        for path in sorted(value.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                yield path.relative_to(value.parent).as_posix(), content
    else:
        yield value.name, hashlib.sha256(value.read_bytes()).hexdigest()


def key_of(*inputs: object) -> str:
    """A sha256, in hex, over plain values and over the contents of files and directories.

    A path counts by its own name and what is in it, not by where it is, a link by where it leads.
    """
    described = [list(_described(value)) for value in inputs]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()

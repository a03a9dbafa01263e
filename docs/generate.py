"""Writes what repeats what is written elsewhere: pages, comments of defaults, pictures, results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docs import defaults, keys, pictures, stages, variables


def documents() -> Iterator[tuple[Path, str]]:
    """Every file that is written here, with its text."""
    yield from defaults.documents()
    yield from stages.documents()
    yield from pictures.documents()
    for part in (variables, keys):
        yield part.TARGET, part.document()
    yield keys.SCHEMA, keys.own_schema()


if __name__ == "__main__":
    for path, text in documents():
        path.write_text(text, encoding="utf-8")

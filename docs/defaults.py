"""``roles/*/defaults/main.yml``: its values as they are, each below what its specification says."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from docs.variables import PROJECT, described, options

WIDTH = 100
"""Characters of a line, at most."""


def values(text: str) -> dict[str, str]:
    """The lines of each variable of a YAML file, by its name, without comments between them."""
    found: dict[str, list[str]] = {}
    own: list[str] = []
    for line in text.splitlines():
        if variable := re.match(r"(\w+):", line):
            own = found.setdefault(variable[1], [])
        elif not line.startswith(" "):
            own = []
        own.append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def commented(text: str, descriptions: dict[str, str]) -> str:
    """A file of defaults with each variable's description above it, in the order of these."""
    found = values(text)
    parts = [
        f"{_comment(description)}\n{found[name]}\n"
        for name, description in descriptions.items()
        if name in found
    ]
    return "---\n" + "\n".join(parts)


def _comment(text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def documents() -> Iterator[tuple[Path, str]]:
    """Every role's file of defaults, as it should be."""
    for path in sorted(PROJECT.glob("roles/*/defaults/main.yml")):
        specified = options(path.parents[1])
        descriptions = {name: described(each["description"]) for name, each in specified.items()}
        yield path, commented(path.read_text(), descriptions)

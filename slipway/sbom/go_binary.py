"""What a program of Go was made of, as its linker wrote it into the program.

The format is that of Go's package debug/buildinfo since Go 1.18, so what is compiled by any Go that
is still maintained is read, wherever there is no Go to ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.sbom.packages import Package

_MAGIC = re.compile(rb"\xff Go buildinf:")
_ALIGNED = 16
_HEADER = 32
_INLINE = 2
"""The flag which says that the texts follow the header."""

_MARK = 16
"""How many bytes stand before and after the list of modules."""

_VERSION = re.compile(r"go(\d+(?:\.\d+)*(?:(?:rc|beta)\d+)?)")


def go_packages(program: bytes) -> list[Package]:
    """The modules in a program, and Go's own library; none if it is not Go's."""
    for found in _MAGIC.finditer(program):
        if found.start() % _ALIGNED == 0:
            try:
                version, modules = _texts(program, found.start())
            except (IndexError, UnicodeDecodeError):
                continue  # a program that looks for such marks itself
            if number := _VERSION.match(version):
                return [Package("golang", "stdlib", number[1]), *_modules(modules)]
    return []


def _texts(program: bytes, start: int) -> tuple[str, str]:
    """The version of Go and the list of modules; IndexError if there are none."""
    if not program[start + 15] & _INLINE:
        raise IndexError(start)
    version, end = _text(program, start + _HEADER)
    modules, _end = _text(program, end)
    return version.decode(), modules[_MARK:-_MARK].decode()


def _text(program: bytes, at: int) -> tuple[bytes, int]:
    """A text that has its length before it (a varint), and where it ends."""
    length = shift = 0
    while True:
        byte = program[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    if at + length > len(program):
        raise IndexError(at)
    return program[at : at + length], at + length


def _modules(text: str) -> Iterator[Package]:
    """The modules of a list; one that was replaced is what took its place."""
    found: list[Package] = []
    for line in text.splitlines():
        kind, *rest = line.split("\t")
        if kind in ("mod", "dep", "=>") and len(rest) >= 2:
            if kind == "=>":
                del found[-1:]
            found.append(Package("golang", rest[0], rest[1]))
    # Only what is published has a version.
    return (each for each in found if each.version.startswith("v"))

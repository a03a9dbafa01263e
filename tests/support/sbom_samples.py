"""What images are made of, written without the code under test."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

MARK = bytes(range(16))
"""What stands before and after the list of modules in a program of Go."""


def _text(content: bytes) -> bytes:
    """A text with its length before it, seven bits in each byte, the lowest first."""
    length, number = bytearray(), len(content)
    while number >= 0x80:
        length.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*length, number]) + content


def go_program(version: str, modules: Sequence[str], before: bytes = b"") -> bytes:
    """A program as Go's linker leaves it, with what it was made of."""
    start = b"\x7fELF" + before
    start += bytes(-len(start) % 16)
    header = b"\xff Go buildinf:\x08\x02".ljust(32, b"\0")
    listed = "".join(f"{line}\n" for line in modules).encode()
    return start + header + _text(version.encode()) + _text(MARK + listed + MARK) + b"code"


def jar(files: Mapping[str, str | bytes]) -> bytes:
    """An archive of Java."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def pom_properties(group: str, name: str, version: str) -> dict[str, str]:
    """What Maven puts into an archive about it."""
    text = f"#Generated\nartifactId={name}\ngroupId={group}\nversion={version}\n"
    return {f"META-INF/maven/{group}/{name}/pom.properties": text}


DPKG_STATUS = """Package: libssl3t64
Status: install ok installed
Architecture: amd64
Source: openssl (3.5.1-1)
Version: 3.5.1-1+b2
Description: libraries
 Version: none

Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.37-2

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""

APK_INSTALLED = """C:Q1abc=
P:libcrypto3
V:3.3.2-r0
A:x86_64
o:openssl

P:musl
V:1.2.5-r0
A:x86_64
"""

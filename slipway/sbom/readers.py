"""What files of an image say of the packages that are in it.

Whoever builds an image decides what is in these files, so nothing is believed of their sizes.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.parser import HeaderParser
from io import BytesIO

from slipway.sbom.go_binary import go_packages
from slipway.sbom.packages import Package

LARGEST = 512 << 20
"""How many bytes a file may have that is read, such as a program or an archive of Java."""

MOST_ENTRIES = 100_000
"""How many entries an archive of Java may have."""

MOST_DEPTH = 3
"""How many archives of Java may be in one another."""

MOST_NESTED = 1 << 28
"""How many bytes archives in an archive of Java may have altogether."""

_DAMAGED = (zipfile.BadZipFile, OSError, ValueError, RuntimeError, zlib.error, EOFError)
"""What is raised when an archive cannot be read, or wants a password."""

_JAVA = (".jar", ".war", ".ear")
_POM = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
_MODULE = re.compile(r"(?:^|/)node_modules/(?:@[^/]+/)?[^/]+/package\.json$")
_JAR_NAME = re.compile(r"(?P<name>.+?)-(?P<version>\d[\w.+-]*)\.[jwe]ar")
_FIELD = re.compile(r"^([\w-]+): ?(.*)$", re.MULTILINE)
_SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?")
_PROPERTY = re.compile(r"^\s*(groupId|artifactId|version)\s*[=:]\s*(\S+)\s*$", re.MULTILINE)

Reader = Callable[[bytes, str], Iterator[Package]]
"""Reads what is in a file with a path in the image."""


def reader_of(path: str, executable: bool) -> Reader | None:
    """What reads a file of an image, by its name; None for one that says nothing."""
    name, folder = posixpath.basename(path), posixpath.dirname(path)
    if path == "var/lib/dpkg/status" or folder == "var/lib/dpkg/status.d":
        return None if name.endswith(".md5sums") else _dpkg
    if path in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
        return _apk
    if path.endswith((".dist-info/METADATA", ".egg-info/PKG-INFO", ".egg-info")):
        return _python
    if _MODULE.search(path):
        return _npm
    if name.endswith(_JAVA):
        return _java
    return _program if executable else None


def _dpkg(content: bytes, _path: str) -> Iterator[Package]:
    for stanza in content.decode(errors="replace").split("\n\n"):
        said = dict(_FIELD.findall(stanza))
        installed = said.get("Status", "installed").endswith("installed")
        if installed and {"Package", "Version"} <= said.keys():
            name, version = said["Package"], said["Version"]
            of = _SOURCE.match(said.get("Source", ""))
            source = (of[1], of[2] or version) if of else (name, version)
            qualifiers = (("arch", said.get("Architecture", "all")),)
            yield Package("deb", name, version, qualifiers=qualifiers, source=source)


def _apk(content: bytes, _path: str) -> Iterator[Package]:
    for stanza in content.decode(errors="replace").split("\n\n"):
        said = dict(line.split(":", 1) for line in stanza.splitlines() if line[1:2] == ":")
        if {"P", "V"} <= said.keys():
            source = (said.get("o", said["P"]), said["V"])
            qualifiers = (("arch", said.get("A", "noarch")),)
            yield Package("apk", said["P"], said["V"], qualifiers=qualifiers, source=source)


def _python(content: bytes, _path: str) -> Iterator[Package]:
    said = HeaderParser().parsestr(content.decode(errors="replace"))
    if said["Name"] and said["Version"]:
        name = re.sub(r"[-_.]+", "-", str(said["Name"]).strip()).lower()
        yield Package("pypi", name, str(said["Version"]).strip())


def _npm(content: bytes, _path: str) -> Iterator[Package]:
    with suppress(ValueError, RecursionError):
        said = json.loads(content.decode(errors="replace"))
        if isinstance(said, dict) and all(
            isinstance(said.get(k), str) for k in ("name", "version")
        ):
            group, _, name = said["name"].rpartition("/")
            yield Package("npm", name, said["version"], group)


def _program(content: bytes, _path: str) -> Iterator[Package]:
    if content.startswith(b"\x7fELF"):
        yield from go_packages(content)


def _java(content: bytes, path: str) -> Iterator[Package]:
    yield from _archive(content, posixpath.basename(path), [MOST_NESTED])


def _archive(content: bytes, name: str, left: list[int], depth: int = 1) -> Iterator[Package]:
    """What an archive is, and what is in it; ``left`` is how many bytes of others may be read.

    One that does not say it is known by its name, and its sha1 tells where it was published.
    """
    found = False
    with suppress(*_DAMAGED), zipfile.ZipFile(BytesIO(content)) as archive:
        for entry in archive.infolist()[:MOST_ENTRIES]:
            if _POM.fullmatch(entry.filename):
                with archive.open(entry) as properties:
                    text = properties.read(1 << 16).decode(errors="replace")
                said = dict(_PROPERTY.findall(text))
                if len(said) == 3:
                    found = True
                    yield Package("maven", said["artifactId"], said["version"], said["groupId"])
            elif _is_archive(entry, left[0], depth):
                left[0] -= entry.file_size
                with archive.open(entry) as file:
                    inner = file.read(entry.file_size)
                inside = posixpath.basename(entry.filename)
                yield from _archive(inner, inside, left, depth + 1)
    if not found and (named := _JAR_NAME.fullmatch(name)):
        sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        yield Package("maven", named["name"], named["version"], hashes=(("SHA-1", sha1),))


def _is_archive(entry: zipfile.ZipInfo, left: int, depth: int) -> bool:
    is_java = entry.filename.endswith(_JAVA)
    return is_java and depth < MOST_DEPTH and 0 < entry.file_size <= left

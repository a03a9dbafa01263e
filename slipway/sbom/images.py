"""Which packages an image has: those of its layers, put on one another as who runs it does.

A layer is read once, however many images are built on it.
"""

from __future__ import annotations

import posixpath
import shlex
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from slipway.errors import Problem, SlipwayError
from slipway.oci import Image, ImageStore
from slipway.oci.blobs import CHUNK
from slipway.oci.model import Descriptor
from slipway.sbom.maven import Repositories
from slipway.sbom.packages import Package
from slipway.sbom.readers import LARGEST, reader_of

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
"""What the names begin with of files that a layer removes, and the one that removes a folder's."""

MOST_ENTRIES = 1_000_000
"""How many entries a layer may have."""

_RELEASES = ("etc/os-release", "usr/lib/os-release")
_OWNED = ("var/lib/dpkg/info/", ".list")
"""Where Debian has the names of the files that its packages brought."""


_COUNT = ("deb", "apk", "golang")
"""What counts also in a file that a package of Debian's brought: of others, Debian has its own."""

T = TypeVar("T")


@dataclass
class _Layer:
    """What a layer adds and removes, of what says something."""

    packages: dict[str, tuple[Package, ...]] = field(default_factory=dict)
    """By the file that says so."""
    releases: dict[str, str] = field(default_factory=dict)
    owned: dict[str, frozenset[str]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    """All that is no folder, also what says nothing."""
    removed: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    """Folders of which only what this layer adds is left."""


class Contents:
    """What is in the images of a store; ``repositories`` know archives of Java by their sums."""

    def __init__(self, store: ImageStore, repositories: Repositories) -> None:
        self._store = store
        self._repositories = repositories
        self._layers: dict[str, _Layer] = {}

    def packages(self, image: Image) -> list[Package]:
        """The packages of an image, each once; SlipwayError if it cannot be read."""
        packages: dict[str, tuple[Package, ...]] = {}
        releases: dict[str, str] = {}
        owned: dict[str, frozenset[str]] = {}
        for layer in map(self._layer, image.layers):
            packages = _without(packages, layer) | layer.packages
            releases = _without(releases, layer) | layer.releases
            owned = _without(owned, layer) | layer.owned
        of_debian = frozenset[str]().union(*owned.values())
        release = next((releases[name] for name in _RELEASES if name in releases), "")
        found = {
            _of_release(each, release)
            for path, said in packages.items()
            for each in said
            if each.kind in _COUNT or f"/{path}" not in of_debian
        }
        return sorted(found)

    def _layer(self, descriptor: Descriptor) -> _Layer:
        known = self._layers.get(descriptor.digest)
        if known is None:
            with self._store.open_layer(descriptor) as tar:
                known = self._layers[descriptor.digest] = self._read(tar)
        return known

    def _read(self, tar: tarfile.TarFile) -> _Layer:
        layer = _Layer()
        for count, member in enumerate(tar):
            if count == MOST_ENTRIES:
                what = f"has a layer of more than {MOST_ENTRIES} files"
                raise SlipwayError(Problem(str(self._store.root), what))
            path = posixpath.normpath(member.name).strip("/")
            folder, name = posixpath.split(path)
            if name == OPAQUE:
                layer.emptied.append(folder)
            elif name.startswith(WHITEOUT):
                layer.removed.append(posixpath.join(folder, name.removeprefix(WHITEOUT)))
            elif not member.isdir():
                self._take(layer, tar, member, path)
        return layer

    def _take(
        self, layer: _Layer, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str
    ) -> None:
        """Note what a file says, and that it is there instead of what was before."""
        layer.files.add(path)
        reader = reader_of(path, bool(member.mode & 0o111))
        is_owned = path.startswith(_OWNED[0]) and path.endswith(_OWNED[1])
        says = reader or path in _RELEASES or is_owned
        if not (says and member.isreg() and member.size <= LARGEST):
            return
        content = _content(tar, member)
        if reader:
            said = (each for each in reader(content, path) if each.is_plain)
            layer.packages[path] = tuple(map(self._repositories.known, said))
        elif is_owned:
            lines = content.decode(errors="replace").splitlines()
            layer.owned[path] = frozenset(filter(_may_say, lines))
        else:
            layer.releases[path] = content.decode(errors="replace")


def _may_say(path: str) -> bool:
    """Whether a file says by its name which package it is, as few do."""
    return reader_of(path.lstrip("/"), executable=False) is not None


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """What is in a file of a tar, which gives it by and by."""
    file = tar.extractfile(member)
    return b"".join(iter(partial(file.read, CHUNK), b"")) if file else b""


def _without(files: Mapping[str, T], layer: _Layer) -> dict[str, T]:
    """What is left of files below a layer: it has others, and removes some with all below them."""
    emptied = (f"{path}/" if path else "" for path in layer.emptied)
    gone = (*(f"{path}/" for path in layer.removed), *emptied)
    exactly = layer.files.union(layer.removed)
    return {
        path: said
        for path, said in files.items()
        if path not in exactly and not f"{path}/".startswith(gone)
    }


def _of_release(package: Package, os_release: str) -> Package:
    """A package of a distribution, with which one it is and in which release."""
    if package.kind not in ("deb", "apk"):
        return package
    said: dict[str, str] = {}
    for line in os_release.splitlines():
        name, _, value = line.partition("=")
        with suppress(ValueError):
            said[name] = "".join(shlex.split(value))
    usual = {"deb": "debian", "apk": "alpine"}[package.kind]
    distribution, number = said.get("ID", usual), said.get("VERSION_ID", "")
    qualifiers = (*package.qualifiers, ("distro", f"{distribution}-{number}".rstrip("-")))
    named = replace(package, group=distribution, qualifiers=qualifiers)
    return named if named.is_plain else package

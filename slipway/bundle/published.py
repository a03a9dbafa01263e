"""What upstream says of its versions: lists of them, sums of files, and digests of images."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from posixpath import basename
from typing import TypeVar

import msgspec

from slipway.architecture import Architecture
from slipway.bundle.download import Broken, Server, asked_of
from slipway.bundle.mirrors import Mirrors
from slipway.bundle.registry import Repository
from slipway.bundle.upstream_lock import ARCHITECTURES, SHA256, File
from slipway.oci.blobs import CHUNK

Answer = TypeVar("Answer")

TRIES = 3
"""How often in a row upstream is asked."""

MOST = 32 << 20
"""Bytes that a list may have."""

_NAME = re.compile(r"(?:v|go)?(\d+(?:\.\d+){1,2})")
"""How upstream calls a version that is no pre-release of another one."""

_BEGINS = re.compile(r"v?\d")


def numbers(version: str) -> tuple[int, ...]:
    """What versions are compared by."""
    return tuple(map(int, version.split(".")))


def is_release(version: str) -> bool:
    """Whether something is a version, as locks have it, and no pre-release."""
    return bool(re.fullmatch(r"\d+(\.\d+){1,2}", version))


class _Archive(msgspec.Struct):
    """A file of a release of Go's."""

    os: str = ""
    arch: str = ""
    kind: str = ""
    sha256: str = ""


class _Release(msgspec.Struct):
    """A release, as GitHub's API lists it, or go.dev, which lists the files as well."""

    tag_name: str = ""
    version: str = ""
    draft: bool = False
    prerelease: bool = False
    files: list[_Archive] | None = None


@dataclass(frozen=True)
class Published:
    """What upstream is asked, at ``mirrors`` where there are some.

    Go's modules are asked for at ``proxies``. What cannot be had raises Broken, for users.
    """

    mirrors: Mirrors
    proxies: Sequence[str]
    say: Callable[[str], None]

    def versions(self, place: str) -> dict[str, str]:
        """The versions of a list, at an address or as tags of a repository of images.

        Each has the reason why it cannot be taken, if there is one.
        """
        if "://" not in place:
            repository = self._repository(place)
            tags = self._asked(repository.server, repository.tags)
            return dict.fromkeys(_released(filter(_is_text, tags)), "")
        return _listed(self._text(self.mirrors.of_file(place).server()))

    def modules(self, module: str) -> list[str]:
        """The versions of a module of Go's."""
        return [*_listed(self._of_proxies(module, "list"))]

    def check_module(self, module: str, version: str) -> None:
        """Raise Broken unless a module can be had at a version."""
        self._of_proxies(module, f"v{version}.info")

    def sha256(self, file: File, version: str, architecture: str) -> str:
        """The sum of a file: the one that is published, or that of what is published."""
        known = {"version": version, "architecture": architecture}
        url = file.url.format_map(known)
        if not file.sums:
            return self._sum_of(self.mirrors.of_file(url).server())
        server = self.mirrors.of_file(file.sums.format_map(known)).server()
        found = {*_sums(self._text(server), basename(url))}
        if len(found) != 1:
            what = "more sums than one" if found else "no sum"
            raise Broken(f"{server} has {what} of {basename(url)}")
        return found.pop()

    def digest(self, repository: str, tag: str) -> str:
        """The digest of an image, which is there for each architecture."""
        found = self._repository(repository)

        def ask() -> str:
            digest = found.digest_of(tag)
            for each in Architecture:
                found.find(digest, each.platform)
            return digest

        return self._asked(found.server, ask)

    def _repository(self, name: str) -> Repository:
        return Repository(self.mirrors.of_repository(name).server())

    def _of_proxies(self, module: str, name: str) -> bytes:
        """What the first of Go's proxies that has it says of a module."""
        escaped = re.sub("[A-Z]", lambda letter: f"!{letter[0].lower()}", module)
        urls = [f"{proxy}/{escaped}/@v/{name}" for proxy in self.proxies if "://" in proxy]
        broken = Broken("GOPROXY names no proxy of Go's modules", "go env -w GOPROXY=URL")
        for url in urls:
            try:
                return self._text(self.mirrors.of_file(url).server())
            except Broken as error:
                broken = error
                if not error.lacking:
                    break
        raise broken

    def _text(self, server: Server) -> bytes:
        def ask() -> bytes:
            with server.asked() as response:
                text = response.read(MOST + 1)
            if len(text) > MOST:
                raise Broken(f"{server} is longer than any list")
            return text

        return self._asked(server, ask)

    def _sum_of(self, server: Server) -> str:
        def ask() -> str:
            found = hashlib.sha256()
            with server.asked() as response:
                while chunk := response.read(CHUNK):
                    found.update(chunk)
            return found.hexdigest()

        return self._asked(server, ask)

    def _asked(self, server: Server, ask: Callable[[], Answer]) -> Answer:
        return asked_of(server, ask, self.say, tries=TRIES)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _released(names: Iterable[str]) -> Iterator[str]:
    """The versions among names, without what comes before the number."""
    for name in names:
        if found := _NAME.fullmatch(name):
            yield found[1]


def _listed(text: bytes) -> dict[str, str]:
    """The versions of a list: one in each line, or releases as JSON."""
    try:
        if text.lstrip()[:1] in (b"[", b"{"):
            return dict(_of_releases(msgspec.json.decode(text, type=list[_Release])))
        lines = text.decode().split()
    except ValueError as error:  # also msgspec's own
        raise Broken(f"what came is no list of versions: {error}") from error
    if not lines or not all(map(_BEGINS.match, lines)):
        raise Broken(f"what came is no list of versions: {' '.join(lines)[:40] or 'nothing'}")
    return dict.fromkeys(_released(lines), "")


def _of_releases(releases: Iterable[_Release]) -> Iterator[tuple[str, str]]:
    for each in releases:
        if each.draft or each.prerelease:
            continue
        for version in _released([each.tag_name or each.version]):
            yield version, "" if each.files is None else _lacking(each.files)


def _lacking(files: Iterable[_Archive]) -> str:
    """What a release lacks of its archives, of which there is to be one for each architecture."""
    summed = {
        each.arch
        for each in files
        if (each.os, each.kind) == ("linux", "archive") and SHA256.fullmatch(each.sha256)
    }
    lacking = [each for each in ARCHITECTURES if each not in summed]
    return f"has no sum for {', '.join(lacking)}" if lacking else ""


def _sums(text: bytes, name: str) -> Iterator[str]:
    """The sums of a file in a list of sha256sum(1), or the only one that is there."""
    rows = [line.split() for line in text.decode(errors="replace").splitlines() if line.strip()]
    for row in rows:
        is_own = basename(row[-1].lstrip("*")) == name if len(row) == 2 else len(rows) == 1
        if is_own and SHA256.fullmatch(row[0]):
            yield row[0]

"""The *archive* provider: a bundle that somebody made, out of one file."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

from slipway.bundle import manifest, packed, signature
from slipway.bundle.download import (
    Broken,
    Download,
    Login,
    Server,
    is_here,
    login_of,
    persistently,
    shown,
)
from slipway.bundle.packed import Contents, Damaged
from slipway.bundle.parts import Part
from slipway.bundle.progress import Progress
from slipway.bundle.source import BesideSource
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.files import replacing
from slipway.oci.blobs import is_full
from slipway.oci.model import readable


class Changed(Damaged):
    """An archive that is another one than before."""


CORRECT = "correct slipway_bundle, or SLIPWAY_BUNDLE in the environment"

LOOKS = 3
"""How often in a row an address is asked what it has."""


@dataclass(frozen=True)
class ArchiveProvider(BesideSource):
    """Unpacks an archive that ``place`` names, a path or an address.

    It has to be made of the same lock as ``source`` would make it of, for the same processor and,
    where ``signers`` names a file of allowed signers, signed by one of them. What it has is noted
    in the cache: from then on nobody has to be asked for it.
    """

    place: str
    signers: Path | None = None
    login: Login | None = None
    say: Callable[[str], None] = field(default=print, compare=False)

    @property
    def tools(self) -> tuple[str, ...]:
        """What this machine has to have for it."""
        return ("ssh",) if self.signers else ()

    def to_make(self) -> list[Part]:
        """Nothing: all of it is in the archive."""
        return []

    def __str__(self) -> str:
        return shown(self.place) if self._is_address else str(self._path)

    @cached_property
    def key(self) -> str:
        """The lock's, as long as the bundle of that is not another one; else the content's own."""
        contents, bundles = self.contents, self.cache.bundles
        if manifest.is_there(bundles / contents.content[:16]):
            return contents.content
        there = manifest.read(bundles / contents.key[:16])
        return (
            contents.key if there is None or contents.is_in(there["sha256"]) else contents.content
        )

    @cached_property
    def contents(self) -> Contents:
        """What the archive has; SlipwayError with all that is wrong with it, before it is fetched.

        An address is only asked where what is noted of it will not do.
        """
        if self._noted and not self._faults(self._noted):
            return self._noted
        if faults := self._faults(self._looked):
            raise SlipwayError(faults)
        return self._looked

    @cached_property
    def platform(self) -> str:
        """What the archive is for, as ``linux/amd64``, by what is noted of it if something is."""
        try:
            return (self._noted or self._looked).platform
        except Damaged:
            return self._looked.platform

    def note(self) -> None:
        """Keep what is known of the archive; what is not used for long is swept away."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path, content in zip(self._notes, self.contents.written, strict=True):
            with replacing(path) as file:
                file.write(content)
        os.utime(self._folder)

    def fill(self, into: Path, say: Callable[[str], None]) -> Mapping[str, object]:
        """Have the archive here, and unpack it."""
        needed = sum(self.contents.sizes.values())
        if self._server is None:
            self._check_room(into, needed)
            self._unpack(self._path, into, say)
            return self.contents.about
        download = Download(self._server, self._folder / "part", say)
        try:
            download.run(needed)
        except Broken as broken:
            raise self._broken(broken) from broken
        try:
            self._unpack(download.part, into, say)
        except Changed as error:
            for path in self._notes:
                path.unlink(missing_ok=True)
            raise SlipwayError(Problem(str(self), str(error), "run again")) from error
        except Damaged as error:
            download.remove()
            fix = "run again, which fetches it anew; if it is damaged there too, have it made anew"
            raise SlipwayError(Problem(str(self), f"{error}; it was removed", fix)) from error
        download.remove()
        return self.contents.about

    @cached_property
    def _server(self) -> Server | None:
        if not self._is_address:
            return None
        try:
            parts = urlsplit(self.place)
            _ = parts.port  # whether it is one
        except ValueError as error:
            raise SlipwayError(Problem(str(self), f"is no address: {error}", CORRECT)) from error
        if parts.scheme == "http" and not self.signers and not is_here(parts.hostname or ""):
            what = "is an address that anybody on the way may answer for"
            fix = (
                "write https, or have archives signed, and name the signers: slipway_bundle_signers"
            )
            raise SlipwayError(Problem(str(self), what, fix))
        return Server(self.place, self.login or login_of(self.place))

    @property
    def _is_address(self) -> bool:
        return self.place.lower().startswith(("https://", "http://"))

    @property
    def _path(self) -> Path:
        return Path(self.place).expanduser().absolute()

    @property
    def _folder(self) -> Path:
        """What is kept of the archive."""
        name = self.place if self._is_address else str(self._path)
        return self.cache.archives / hashlib.sha256(name.encode()).hexdigest()[:16]

    @property
    def _notes(self) -> tuple[Path, Path]:
        """Where its manifest and the signature of that are kept."""
        return self._folder / packed.MANIFEST, self._folder / packed.SIGNATURE

    @cached_property
    def _noted(self) -> Contents | None:
        """What is noted of an address, or of a file that is gone."""
        if not self._is_address and self._path.exists():
            return None
        try:
            return Contents(*(path.read_bytes() for path in self._notes))
        except OSError:
            return None

    @cached_property
    def _looked(self) -> Contents:
        """What the archive has, of which no more than its beginning is read."""
        if "://" in self.place and not self._is_address:
            what = "is neither a path nor an address that begins with https://"
            raise SlipwayError(Problem(shown(self.place), what, CORRECT))
        try:
            if self._server:
                return persistently(self._look_there, self._told, tries=LOOKS)
            with self._opened(self._path) as plain:
                return packed.read_contents(plain)
        except Broken as broken:
            raise self._broken(broken) from broken
        except Damaged as error:
            raise self._damaged(error) from error

    def _look_there(self) -> Contents:
        assert self._server
        with self._server.asked() as response, packed.opened(cast(IO[bytes], response)) as plain:
            return packed.read_contents(plain)

    def _told(self, line: str) -> None:
        self.say(f"{self}: {line}")

    @contextmanager
    def _opened(self, path: Path) -> Iterator[IO[bytes]]:
        try:
            file = path.open("rb")
        except OSError as error:
            raise SlipwayError(Problem(str(path), str(error.strerror), CORRECT)) from error
        with file, packed.opened(file) as plain:
            yield plain

    def _unpack(self, path: Path, into: Path, say: Callable[[str], None]) -> None:
        """Unpack a file; Damaged when it is not what it should be."""
        contents = self.contents
        progress = Progress("unpacked", sum(contents.sizes.values()), say)
        try:
            with self._opened(path) as plain:
                if packed.read_contents(plain).text != contents.text:
                    raise Changed("has another manifest than it had before")
                packed.unpack(plain, contents, into, _Held(self.cache).find, progress)
        except OSError as error:
            if is_full(error):
                raise _no_room(into, "has no room left") from error
            raise SlipwayError(Problem(str(self), f"cannot be unpacked: {error}")) from error
        except Damaged as error:
            if self._server:
                raise
            raise self._damaged(error) from error

    def _faults(self, contents: Contents) -> list[Problem]:
        """Why an archive will not do."""
        wanted = self.source.architecture
        try:
            if contents.platform != wanted.platform:
                what = f"is for {contents.platform}, and one for {wanted.platform} is wanted"
                fix = f"have one made by make bundle ARCH={wanted} OUT=..."
                return [Problem(str(self), what, fix)]
        except Damaged as error:
            return [Problem(str(self), str(error), "have it made anew")]
        faults = list(self._of_lock(contents))
        if self.signers:
            try:
                signature.verify(contents.text, contents.signature, self.signers.expanduser())
            except SlipwayError as error:
                faults += [
                    Problem(f"{each.where} of {self}", each.what, each.fix)
                    if each.where == "signature"
                    else each
                    for each in error.problems
                ]
        return faults

    def _of_lock(self, contents: Contents) -> Iterator[Problem]:
        """What the archive was made of that this checkout is not, with both values."""
        key = self.source.key
        if contents.key == key:
            return
        fix = (
            "have one made of this checkout (make bundle OUT=...), or check out what it was made of"
        )
        theirs, ours = contents.versions, self.versions
        differ = [name for name in {**ours, **theirs} if theirs.get(name) != ours.get(name)]
        told = [
            f"{name} {theirs.get(name, 'none')}, and the lock says {ours.get(name, 'none')}"
            for name in differ
        ]
        if not told:
            files = "bundle/ and images/ were other files than here"
            told = [f"its versions, but {files} (key {contents.key[:16]}, and here {key[:16]})"]
        for each in told:
            yield Problem(str(self), f"has {each}", fix)

    def _check_room(self, into: Path, needed: int) -> None:
        free = shutil.disk_usage(into).free
        if free < needed:
            raise _no_room(into, f"has {readable(free)} free; it takes {readable(needed)}")

    def _broken(self, broken: Broken) -> SlipwayError:
        fix = broken.fix or "run again; what has come stays"
        return SlipwayError(Problem(str(self), str(broken), fix))

    def _damaged(self, error: Damaged) -> SlipwayError:
        fix = "copy or fetch it again; if it is damaged there as well, have it made anew"
        return SlipwayError(Problem(str(self), str(error), fix))


def _no_room(into: Path, what: str) -> SlipwayError:
    what = f"{what}; nothing stays half unpacked"
    return SlipwayError(Problem(str(into.parent), what, "make room there, and run again"))


class _Held:
    """What bundles and parts in the cache have already, by its sha256."""

    def __init__(self, cache: CacheLayout) -> None:
        folders = [*cache.bundles.glob("*"), *cache.bundle_parts.glob("*")]
        self._places: dict[str, list[Path]] = {}
        for folder in folders:
            for name, sha256 in ((manifest.read(folder) or {}).get("sha256") or {}).items():
                self._places.setdefault(sha256, []).append(folder / name)

    def find(self, sha256: str) -> Path | None:
        """A file that has this content still."""
        places = self._places.get(sha256, ())
        return next((path for path in places if manifest.has(path, sha256)), None)

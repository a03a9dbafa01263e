"""The files of an image archive, whatever holds them, within bounds.

Nothing is ever unpacked under its own name: files are looked up by the names that an image's
index or manifest says, and what is there under another name is not read.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import posixpath
import re
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

from slipway.files import Refused, inside, readable
from slipway.oci.blobs import CHUNK, copy
from slipway.oci.model import LAYER_GZIP, LAYER_ZSTD

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MOST_MEMBERS = 100_000
"""How many entries the tar of an archive may have."""

MOST_LINKS = 16
"""How many links may follow one another in a tar."""

MOST_READ = 16 * CHUNK
"""Bytes that are read on end: a tar's header says itself how long it is."""

FREE_SIZE = 1 << 30
RATIO = 100
"""What is compressed may be RATIO times as long, and FREE_SIZE bytes in any case."""


@dataclass(frozen=True)
class Compression:
    """A way to compress: how it begins, and what reads it.

    ``layer`` is the media type of layers that are compressed so, if nodes can unpack them.
    """

    start: re.Pattern[bytes]
    open: Callable[[IO[bytes]], Any]
    layer: str = ""


GZIP = Compression(re.compile(rb"\x1f\x8b"), gzip.open, LAYER_GZIP)

_COMPRESSIONS = (
    GZIP,
    # Or a frame that is to be skipped, as zstd's parallel cousins put there (RFC 8878, 3.1.2).
    Compression(re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), zstd.open, LAYER_ZSTD),
    Compression(re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), bz2.open),
    Compression(re.compile(rb"\xfd7zXZ"), lzma.open),
)

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError, tarfile.TarError)
"""What is raised when what was compressed or packed is damaged."""


def compression_of(file: IO[bytes]) -> Compression | None:
    """How a file is compressed, read from its start; None if it is not."""
    start = file.read(10)
    file.seek(0)
    return next((each for each in _COMPRESSIONS if each.start.match(start)), None)


class Unusable(ValueError):
    """Something about an archive or a part of it; the text says what, ``fix`` what to do."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.fix = fix


class Files(Protocol):
    """The files of an archive."""

    def open(self, name: str) -> IO[bytes] | None:
        """The file's content, or None when the archive has no such file; Unusable if it is none."""

    def spare(self, name: str) -> Path | None:
        """A file that may become the store's own as it is; None when it has to be copied."""


class DirectoryFiles:
    """Files in somebody's directory; links may lead to other files in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> IO[bytes] | None:
        """As Files."""
        if not os.path.lexists(self._root / name):
            return None
        try:
            return inside(self._root, name, "the directory").open("rb")
        except Refused as error:
            raise Unusable(f"{name} cannot be read: {error}") from error
        except OSError as error:
            raise Unusable(f"{name} cannot be read: {error.strerror}") from error

    def spare(self, name: str) -> Path | None:
        """As Files: the directory is to stay as it is."""
        return None


class SpareFiles:
    """Files in a directory that this program made itself and needs no longer."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> IO[bytes] | None:
        """As Files."""
        path = self.spare(name)
        return path.open("rb") if path else None

    def spare(self, name: str) -> Path | None:
        """As Files."""
        path = self._root / name
        return path if path.is_file() else None


class TarFiles:
    """Files in a plain tar; only the headers are read until a file is opened."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members: dict[str, tarfile.TarInfo] = {}
        for count, member in enumerate(tar):
            if count == MOST_MEMBERS:
                raise Unusable(f"has more than {MOST_MEMBERS} entries")
            if member.name.startswith("/") or ".." in member.name.split("/"):
                raise Unusable(f"has an entry {member.name}, which leads out of it")
            name = posixpath.normpath(member.name)
            if name in self._members and not (member.isdir() and self._members[name].isdir()):
                raise Unusable(f"has {name} twice")
            self._members[name] = member

    def open(self, name: str) -> IO[bytes] | None:
        """As Files; a link gives the file that it points to."""
        name = posixpath.normpath(name)
        member = self._members.get(name)
        for _ in range(MOST_LINKS):
            if member is None or not (member.issym() or member.islnk()):
                break
            folder = posixpath.dirname(member.name) if member.issym() else ""
            target = posixpath.normpath(posixpath.join(folder, member.linkname))
            if target.startswith(("/", "../")):
                raise Unusable(f"{name} is a link out of it, to {member.linkname}")
            member = self._members.get(target)
        if member is None:
            return None
        if not member.isreg() or member.issparse():
            raise Unusable(f"{name} is no file")
        return self._tar.extractfile(member)

    def spare(self, name: str) -> Path | None:
        """As Files: it is a part of the tar."""
        return None


class Bounded(io.RawIOBase):
    """Reads through to a stream; Unusable when it is asked for much, or gives too much.

    ``most`` is how many bytes it may give in all. Without that it is a tar's, of which a header is
    read on end, at once or by and by, and all else after a seek.
    """

    def __init__(self, stream: IO[bytes], most: int | None = None) -> None:
        self._stream = stream
        self._left = most
        self._on_end = 0

    def read(self, size: int = -1, /) -> bytes:
        """As of any stream."""
        self._on_end = size + (self._on_end if self._left is None else 0)
        if size < 0 or self._on_end > MOST_READ:
            raise Unusable(f"has a header of more than {MOST_READ >> 20} MB")
        data = self._stream.read(size)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                what = f"is compressed more than {RATIO} to 1, which no image is"
                raise Unusable(what, "unpack it before, if it is right")
        return data

    def seekable(self) -> bool:
        """As of any stream."""
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """As of any stream."""
        self._on_end = 0
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As of any stream."""
        return self._stream.tell()


def decompressed(stream: IO[bytes], size: int, compression: Compression) -> Any:
    """What is in a compressed stream of ``size`` bytes; Unusable as soon as it is too much."""
    return Bounded(compression.open(stream), max(FREE_SIZE, RATIO * size))


@contextmanager
def open_archive(path: Path, scratch: Path, *, spare: bool) -> Iterator[Files]:
    """The files of the archive at ``path``; a compressed one is unpacked into ``scratch`` first.

    Raises Unusable, Refused, OSError, or what decompressors and tarfile raise, when it cannot be
    read.
    """
    if path.is_dir():
        yield SpareFiles(path) if spare else DirectoryFiles(path)
        return
    with readable(path).open("rb") as raw, open_tar(raw, path.stat().st_size, scratch) as tar:
        yield TarFiles(tar)


@contextmanager
def open_tar(raw: IO[bytes], size: int, scratch: Path) -> Iterator[tarfile.TarFile]:
    """A tar of ``size`` bytes, to be read anywhere; a compressed one is unpacked into ``scratch``.

    Raises Unusable, OSError, or what decompressors and tarfile raise, when it cannot be read.
    """
    with tempfile.TemporaryFile(dir=scratch) as plain:
        source = raw
        if compression := compression_of(raw):
            copy(decompressed(raw, size, compression), plain)
            plain.seek(0)
            source = plain
        with tarfile.open(fileobj=cast(IO[bytes], Bounded(source)), mode="r:") as tar:
            yield tar

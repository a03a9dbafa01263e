"""A directory of blobs, each named by the sha256 of what is in it."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

CHUNK = 1 << 20
"""Bytes read at a time: an image of any size passes through this much memory."""


class DigestMismatch(Exception):
    """What was read is not what its digest, or the size that goes with it, says."""

    def __init__(self, digest: str, what: str = "the content does not match the digest") -> None:
        super().__init__(f"{digest}: {what}")
        self.digest = digest


class HashingReader(io.RawIOBase):
    """Reads through to another stream and keeps the digest and the count of what was read.

    With ``expected`` (``sha256:<hex>``) the end of the stream raises DigestMismatch when the
    content was something else; with ``length`` also when there was more or less of it, and no
    more than that is read.
    """

    def __init__(
        self, stream: IO[bytes], expected: str | None = None, length: int | None = None
    ) -> None:
        self._stream = stream
        self._expected = expected
        self._length = length
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """Digest of everything read so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def check(self) -> None:
        """Raise DigestMismatch unless all that was read is what was expected."""
        if self._length is not None and self.size != self._length:
            more = "more" if self.size > self._length else f"{self.size}"
            what = f"the content has {more} bytes, not {self._length}"
            raise DigestMismatch(self._expected or self.digest, what)
        if self._expected is not None and self.digest != self._expected:
            raise DigestMismatch(self._expected)

    def read(self, size: int = -1, /) -> bytes:
        """As of any stream."""
        data = self._stream.read(size)
        self._hash.update(data)
        self.size += len(data)
        if self._length is not None and self.size > self._length:
            self.check()
        return data

    def drain(self) -> None:
        """Read the rest and check all."""
        while self.read(CHUNK):
            pass
        self.check()


class HashingWriter(io.RawIOBase):
    """Writes through to another stream and keeps the digest of what was written."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Digest of everything written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """As of any stream."""
        self._hash.update(data)
        return self._stream.write(data)


def is_full(error: BaseException) -> bool:
    """Whether the error says that a file system, or what a user may have of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def copy(source: IO[bytes] | HashingReader, target: IO[bytes]) -> None:
    """Copy the rest of ``source`` to ``target``, CHUNK bytes at a time."""
    while chunk := source.read(CHUNK):
        target.write(chunk)


class BlobDirectory:
    """The ``blobs/sha256`` part of an OCI image layout, with ``temporary`` beside it.

    A blob appears under its name only when it is whole, hashed and on the disk, wherever it comes
    from, and is never changed afterwards.
    """

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs" / "sha256"
        self.temporary = root / "tmp"

    def create(self) -> None:
        """Make the directories, where they are not there yet."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        self.temporary.mkdir(exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob is, or would be."""
        return self._blobs / digest.removeprefix("sha256:")

    def has(self, digest: str, size: int) -> bool:
        """Whether the blob is there with this size in bytes (its content is not read)."""
        try:
            return self.path(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def open(self, digest: str) -> io.BufferedReader:
        """The blob's content; FileNotFoundError when it is not there."""
        return self.path(digest).open("rb")

    def read(self, digest: str) -> bytes:
        """The whole content of a small blob (a manifest, a config), checked.

        Raises FileNotFoundError when it is not there and DigestMismatch when it is damaged.
        """
        with self.open(digest) as stream:
            reader = HashingReader(stream, digest)
            data = reader.read()
        reader.check()
        return data

    def is_sound(self, digest: str) -> bool:
        """Whether the blob is there and its content is what the digest says; reads all of it."""
        try:
            with self.open(digest) as stream:
                return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}" == digest
        except FileNotFoundError:
            return False

    @contextmanager
    def new(self) -> Iterator[NewBlob]:
        """A file to write a new blob into; gone again unless it was kept."""
        with tempfile.NamedTemporaryFile(dir=self.temporary, delete=False) as file:
            try:
                yield NewBlob(self, file)
            finally:
                with suppress(FileNotFoundError):
                    Path(file.name).unlink()

    def put(
        self, stream: IO[bytes], expected: str | None = None, length: int | None = None
    ) -> tuple[str, int]:
        """Store what ``stream`` gives and return its digest and its size in bytes.

        Raises DigestMismatch, and stores nothing, when ``expected`` is another digest or
        ``length`` another size.
        """
        with self.new() as blob:
            reader = HashingReader(stream, expected, length)
            copy(reader, blob.file)
            reader.check()
            blob.keep(reader.digest)
        return reader.digest, reader.size

    def take(self, path: Path, digest: str, length: int) -> None:
        """Store a file that nobody changes any more, by a hard link where one can be had.

        Unless the blob is stored already, the file is read. Raises FileNotFoundError when it is
        not there, and DigestMismatch, and stores nothing, when it is something else.
        """
        if self.has(digest, length):
            return
        source, link = path.resolve(strict=True), self.temporary / uuid4().hex
        try:
            os.link(source, link)
        except OSError:
            with source.open("rb") as stream:
                self.put(stream, digest, length)
            return
        try:
            with link.open("rb") as stream:
                HashingReader(stream, digest, length).drain()
                self.enter(stream, link, digest)
        finally:
            link.unlink(missing_ok=True)

    def enter(self, file: IO[bytes], path: Path, digest: str) -> None:
        """Give a file its name as a blob; its content is on the disk before that."""
        os.fsync(file.fileno())
        path.replace(self.path(digest))

    def remove(self, digest: str) -> None:
        """Take the blob away, if it is there."""
        self.path(digest).unlink(missing_ok=True)

    def digests(self) -> list[str]:
        """Every blob that is there."""
        return [f"sha256:{path.name}" for path in self._blobs.iterdir()]


class NewBlob:
    """A blob being written: write to ``file``, then :meth:`keep` it."""

    def __init__(self, blobs: BlobDirectory, file: IO[bytes]) -> None:
        self._blobs = blobs
        self.file = file

    def keep(self, digest: str) -> int:
        """Give the written content its name in the directory, and return its size in bytes."""
        self.file.flush()
        os.fchmod(self.file.fileno(), 0o644)
        self._blobs.enter(self.file, Path(self.file.name), digest)
        return self.file.tell()

"""Take Python's packages out of the archive of a bundle, for a machine that has no index of them.

It runs before there is an environment, with what is in Python and one library that each machine
has. What is in the archive is not trusted: pip and install_collections.py check all of it against
the hashes of the checkout.
"""

from __future__ import annotations

import ctypes
import io
import json
import platform
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException, InvalidURL
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
"""What the manifest of an archive calls the machines that it is for, by what the kernel does."""

FOLDER, BLOBS = "python/", "blobs/sha256/"
"""Where the packages are by the manifest, and what the tar has each content as."""

SECONDS = 10
"""How long a server is waited for."""

CHUNK = 1 << 16
"""How many bytes are read at once."""


class Unusable(Exception):
    """An archive without packages for this machine; the text says why."""


FAULTS = (Unusable, OSError, ValueError, RecursionError, HTTPException, tarfile.TarError)
"""What reading an archive, or what is none, may end with."""


def shown(place: str) -> str:
    """A path, or an address without what opens it: a password, or a query."""
    if "://" not in place:
        return place
    try:
        parts = urlsplit(place)
    except ValueError:  # as of "https://[::1"
        return f"{place.partition('://')[0]}://..."
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def answer(address: str) -> IO[bytes]:
    """What a server answers; what Python says of an address may have its password or query."""
    try:
        if "@" in urlsplit(address).netloc:
            raise Unusable("an address with a login is not asked before there is an environment")
        content: IO[bytes] = urllib.request.urlopen(address, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        raise Unusable(f"its server answers with {error.code}") from None
    except (InvalidURL, ValueError):
        raise Unusable("it is no address that can be asked") from None
    return content


@contextmanager
def opened(place: str) -> Iterator[tarfile.TarFile]:
    """The tar in an archive, a path or an address, which is read from its beginning."""
    with ExitStack() as stack:
        if "://" in place:
            packed = stack.enter_context(answer(place))
        else:
            packed = stack.enter_context(Path(place).expanduser().open("rb"))
        plain = io.BufferedReader(Decompressed(packed), CHUNK)
        yield stack.enter_context(tarfile.open(fileobj=plain, mode="r|"))


class Buffer(ctypes.Structure):
    """Bytes that zstd reads or writes, and how far it is (ZSTD_inBuffer, ZSTD_outBuffer)."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("position", ctypes.c_size_t),
    )


class Decompressed(io.RawIOBase):
    """What is in a compressed stream, by the library that a machine's package manager reads with.

    Python's own reader is there from 3.14 on only.
    """

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._zstd = ctypes.CDLL("libzstd.so.1")
        self._zstd.ZSTD_createDStream.restype = ctypes.c_void_p
        self._zstd.ZSTD_decompressStream.restype = ctypes.c_size_t
        self._zstd.ZSTD_decompressStream.argtypes = (ctypes.c_void_p,) * 3
        self._zstd.ZSTD_isError.argtypes = (ctypes.c_size_t,)
        self._stream = self._zstd.ZSTD_createDStream()
        self._bytes = ctypes.create_string_buffer(b"")
        self._from = Buffer()

    def readable(self) -> bool:
        """As all that is read from."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill a buffer as far as it goes; nothing at the end."""
        into = Buffer(ctypes.addressof(ctypes.c_char.from_buffer(target)), len(target), 0)
        while not into.position:
            if self._from.position == self._from.size:
                chunk = self._packed.read(CHUNK)
                if not chunk:
                    break
                self._bytes = ctypes.create_string_buffer(chunk, len(chunk))
                self._from = Buffer(ctypes.addressof(self._bytes), len(chunk), 0)
            code = self._zstd.ZSTD_decompressStream(
                self._stream, ctypes.addressof(into), ctypes.addressof(self._from)
            )
            if self._zstd.ZSTD_isError(code):
                raise Unusable("it cannot be decompressed")
        return int(into.position)


def names(manifest: Any) -> dict[str, str]:
    """What the packages are called, by where the tar has them; Unusable without any for here."""
    try:
        made_for = manifest["about"]["platform"]
        found = {
            BLOBS + file["sha256"]: Path(name).name
            for name, file in manifest["beside"].items()
            if name.startswith(FOLDER)
        }
    except (LookupError, TypeError, AttributeError):
        raise Unusable("its manifest is not one of a bundle") from None
    if made_for != PLATFORMS.get(platform.machine()):
        raise Unusable(f"it is for {made_for}")
    if not found:
        raise Unusable("it was written without them")
    return found


def take(place: str, folder: Path) -> None:
    """Write the packages of an archive into ``folder``; Unusable when it has none for here."""
    with opened(place) as tar:
        first = tar.next()
        text = tar.extractfile(first) if first and first.name == "manifest.json" else None
        if text is None:
            raise Unusable("it is no archive of a bundle")
        wanted = names(json.load(text))
        folder.mkdir(parents=True)
        while wanted and (member := tar.next()):
            content = tar.extractfile(member) if member.name in wanted else None
            if content:
                (folder / wanted.pop(member.name)).write_bytes(content.read())
    if wanted:
        raise Unusable(f"it lacks {', '.join(wanted.values())}")


def main(places: str, folder: Path) -> str | None:
    """Take them out of the first archive that has them; return what is wrong, if none has."""
    reasons = []
    for place in filter(None, map(str.strip, places.split(","))):
        try:
            take(place, folder)
        except FAULTS as error:
            shutil.rmtree(folder, ignore_errors=True)
            why = " ".join(str(error).split())
            reasons.append(f"no packages of Python's are taken out of {shown(place)}: {why}")
        else:
            return None
    return "\n".join(reasons)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))

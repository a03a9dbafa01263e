"""The data of a volume as a file: the stream of :mod:`slipway.apps.volumes.in_pod`, by zstd.

It is a tar, ``tar --zstd`` lists it, and the sum at its end tells that it is whole. Anybody may
have made it, so all of it is looked at before anything of it is used.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from slipway.apps.volumes.in_pod import CHUNK, Checked, Refused, members
from slipway.errors import Problem, SlipwayError
from slipway.files import replacing

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OWN_ALONE = 0o600
"""The mode of a file with data, which nobody else is to read."""

FIX = "name a file that make data-save wrote"


@dataclass(frozen=True)
class Contents:
    """What a file has: how many members, how many bytes unpacked, and the sum of those."""

    members: int
    size: int
    sum: str


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file to write the data of a volume to, which is there when all of it is.

    Raises SlipwayError, and leaves nothing, when it cannot be written.
    """
    options: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}
    try:
        with (
            replacing(path, OWN_ALONE) as file,
            zstd.ZstdFile(file, "w", options=options) as packed,
        ):
            yield cast(IO[bytes], packed)
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}; nothing is left of it"
        raise SlipwayError(Problem(str(path), what, "make room, or write it elsewhere")) from error


def check_new(path: Path) -> None:
    """Raise SlipwayError unless a file can be made at a path at which there is none."""
    if path.exists():
        raise SlipwayError(Problem(str(path), "is there already", "remove it, or name another"))
    if not path.parent.is_dir():
        raise SlipwayError(
            Problem(str(path), "its folder is not there", "make it, or name another")
        )


def copied(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy a stream to its end; raises SlipwayError when it is not whole."""
    stream = Checked(source)
    try:
        while chunk := stream.read(CHUNK):
            target.write(chunk)
        target.write(stream.check().encode())
    except Refused as error:
        raise SlipwayError(Problem("the data", str(error), "run again")) from error


def contents(path: Path) -> Contents:
    """What a file has, all of which was looked at; SlipwayError when no volume may have that."""
    try:
        with opened(path) as plain:
            stream = Checked(plain)
            count = sum(1 for _ in members(stream))
            return Contents(count, stream.size, stream.check())
    except Refused as error:
        raise SlipwayError(Problem(str(path), str(error), FIX)) from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The stream that is in a file; SlipwayError when it cannot be read."""
    try:
        with zstd.ZstdFile(path) as plain:
            yield cast(IO[bytes], plain)
    except BrokenPipeError:  # whoever was fed with it ended early, and says why
        raise
    except (OSError, EOFError, zstd.ZstdError) as error:
        what = f"cannot be read: {(error.strerror if isinstance(error, OSError) else '') or error}"
        raise SlipwayError(Problem(str(path), what, FIX)) from error


def feed(path: Path, target: IO[bytes]) -> None:
    """Write the stream that is in a file."""
    with opened(path) as plain:
        shutil.copyfileobj(plain, target, CHUNK)

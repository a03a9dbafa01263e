"""Files that stand in several places, that appear whole, and that others wrote."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LONGEST = 16 << 20
"""How many bytes a text may have that anybody may have written."""

MOST_FILES = 10_000
"""How many files a folder that is read whole may have once more, behind links."""


_LIBC = ctypes.CDLL(None, use_errno=True)


class Refused(ValueError):
    """A file that is not to be read; the text says why, after "cannot be read:"."""


def inside(root: Path, name: str | Path, whole: str = "the repository") -> Path:
    """Where the file or folder ``name`` below ``root`` really is: every link is followed.

    Who reads what others wrote, or has a program read it, asks here first: a link may lead to any
    file of this machine, and a device or a pipe may never come to an end. Raises Refused when it
    leads out of ``root``, which is called ``whole``, is not there, or is neither a file nor a
    folder. What is below a folder is to be asked for by itself, or by :func:`refused_below`.
    """
    try:
        path = Path(os.path.realpath(root / name))
    except ValueError as error:
        raise Refused(str(error)) from error
    if not path.is_relative_to(os.path.realpath(root)):
        raise Refused(f"it leads out of {whole}")
    return readable(path)


def refused_below(folder: Path, whole: str) -> Iterator[tuple[str, str]]:
    """What below a folder must not be read, by its name there, and why; see :func:`inside`.

    Links are followed as those do who read the folder: a few that lead to one another may make
    more files than anybody can read.
    """
    top, behind_links = Path(os.path.realpath(folder)), 0
    for place, folders, files in os.walk(folder, followlinks=True):
        for name in sorted((*folders, *files)):
            path = Path(place, name)
            if not _is_plain(path.lstat().st_mode):
                try:
                    inside(folder, path.relative_to(folder), whole)
                except Refused as error:
                    yield str(path.relative_to(folder)), str(error)
                    folders[:] = [each for each in folders if each != name]
        if Path(os.path.realpath(place)) != top / Path(place).relative_to(folder):
            behind_links += len(folders) + len(files)
        if behind_links > MOST_FILES:
            yield ".", f"it has more than {MOST_FILES} files behind links"
            return


def readable(path: Path) -> Path:
    """The path of a file or a folder, or of a link to one; Refused when it is something else."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise Refused(error.strerror) from error
    if not _is_plain(mode):
        raise Refused("it is neither a file nor a folder")
    return path


def _is_plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that nobody changes another name; a copy where a hard link cannot be had.

    For a while only, a symbolic link is better: it leaves alone what the kernel notes of the file,
    by which others see that nothing has happened to it.
    """
    try:
        os.link(source.resolve(), target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copy2(source, target)


def settle(new: Path, final: Path) -> None:
    """Give a folder its name, once all that is below it is on the disk (syncfs(2)).

    Others see it whole or not at all, also after the machine has failed. Raises OSError.
    """
    descriptor = os.open(new, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "cannot be written to the disk", str(new))
    finally:
        os.close(descriptor)
    new.rename(final)


def flush(path: Path) -> None:
    """Have what somebody else wrote into a file on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Give a file to write to that takes the place of ``path`` when all is written.

    Others see the file that was there, or the new one whole: also after the machine has failed, as
    the content is on the disk before it gets its name.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        try:
            yield new
            new.flush()
            os.fchmod(new.fileno(), mode)
            os.fsync(new.fileno())
            Path(new.name).replace(path)
        except BaseException:
            Path(new.name).unlink()
            raise


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file as :func:`replacing` does."""
    with replacing(path, mode) as new:
        new.write(text.encode())


def read_bytes(path: Path, longest: int = LONGEST) -> bytes:
    """What a file holds that anybody may have made, of at most ``longest`` bytes.

    Raises OSError also when it is more, or no file that has an end (a pipe, a device).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its writer
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(longest + 1)
    if len(content) > longest:
        raise OSError(errno.EFBIG, f"it is larger than {longest >> 20} MB", str(path))
    return content

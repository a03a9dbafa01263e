"""Layers made from files, the same bytes whenever the files are the same."""

from __future__ import annotations

import io
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from slipway.errors import Problem, SlipwayError
from slipway.oci.blobs import CHUNK

_TAR_FIELDS = frozenset(
    {"atime", "ctime", "mtime", "path", "linkpath", "size", "uid", "gid", "uname", "gname"}
)
"""Extended header fields that the tar reader has already put in their place."""


@dataclass(frozen=True)
class Layer:
    """One layer: ``write`` puts its plain tar into a stream."""

    write: Callable[[IO[bytes]], None]


@dataclass(frozen=True)
class TreeEntry:
    """What is at one place in an image.

    ``source`` is a file or a directory on this machine, the content itself, or None for an empty
    directory. ``mode`` None means 0755 for directories and executables and 0644 for other files,
    whatever the umask was; a mode given for a directory of files is for the directory alone.
    ``owner`` is the uid and gid.
    """

    source: Path | bytes | None
    mode: int | None = None
    owner: int = 0


def layer_from_tar(path: Path, below: Sequence[str] = ()) -> Layer:
    """A layer of what is in a tar file, plain or compressed, such as a root file system.

    Where folders are named it is what is ``below`` them, and they themselves.

    Order, modes, owners by number, links, devices and extended attributes stay; times and the
    names of owners go, so that making the same system again gives the same layer.

    Raises SlipwayError, when the layer is written, if ``path`` is not a tar file.
    """

    def write(out: IO[bytes]) -> None:
        try:
            with tarfile.open(path, "r|*", bufsize=CHUNK) as source, _writer(out) as target:
                for member in source:
                    name = member.name.removeprefix("./").strip("/")
                    if name in ("", ".") or not _is_below(name, below):
                        continue
                    content = source.extractfile(member) if member.isreg() else None
                    target.addfile(_plain(member, name), content)
        except (OSError, tarfile.TarError) as error:
            raise SlipwayError(
                Problem(str(path), f"cannot be read as a tar file: {error}")
            ) from error

    return Layer(write)


def _is_below(name: str, folders: Sequence[str]) -> bool:
    """Whether a path is one of the folders or below it; without folders, all are."""
    return not folders or any(PurePosixPath(name).is_relative_to(each) for each in folders)


def layer_from_tree(tree: Path | Mapping[str, Path | bytes | TreeEntry]) -> Layer:
    """A layer of files: a directory that becomes ``/``, or what goes to which place.

    A mapping's keys are places in the image (``/etc/nginx/nginx.conf``); a directory as a value
    goes there with all that is in it. Symbolic links stay what they are. Directories that lead to
    a place are not in the layer, so that they keep the mode they have in the layers below.

    Raises SlipwayError, when the layer is written, with all the sources that are not there.
    """
    places = {"/": tree} if isinstance(tree, Path) else tree
    entries = {
        posixpath.normpath(place).strip("/"): value
        if isinstance(value, TreeEntry)
        else TreeEntry(value)
        for place, value in places.items()
    }

    def write(out: IO[bytes]) -> None:
        missing = [
            Problem(f"/{place}", f"{entry.source} is not there")
            for place, entry in sorted(entries.items())
            if isinstance(entry.source, Path) and not entry.source.is_symlink()
            if not entry.source.exists()
        ]
        if missing:
            raise SlipwayError(missing)
        flat = {place: entry for item in entries.items() for place, entry in _expand(*item)}
        with _writer(out) as target:
            for place, entry in sorted(flat.items()):
                if place:
                    _add(target, place, entry)

    return Layer(write)


def _expand(place: str, entry: TreeEntry) -> Iterator[tuple[str, TreeEntry]]:
    """The entry and, for a directory on this machine, everything below it."""
    yield place, entry
    source = entry.source
    if isinstance(source, Path) and source.is_dir() and not source.is_symlink():
        for child in source.iterdir():
            if child.name == "__pycache__":  # what Python left there is of this machine alone
                continue
            below = posixpath.join(place, child.name)
            yield from _expand(below, replace(entry, source=child, mode=None))


def _add(target: tarfile.TarFile, place: str, entry: TreeEntry) -> None:
    member = tarfile.TarInfo(place)
    member.uid = member.gid = entry.owner
    source = entry.source
    if source is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    elif isinstance(source, bytes):
        member.size, member.mode = len(source), 0o644
    elif source.is_symlink():
        member.type, member.mode = tarfile.SYMTYPE, 0o777
        member.linkname = str(source.readlink())
    elif source.is_dir():
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    else:
        found = source.stat()
        member.size = found.st_size
        member.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
    if entry.mode is not None and not member.issym():
        member.mode = entry.mode
    if not member.isreg():
        target.addfile(member)
    elif isinstance(source, bytes):
        target.addfile(member, io.BytesIO(source))
    elif source is not None:
        with source.open("rb") as content:
            target.addfile(member, content)


def _plain(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    """The member under ``name`` without what differs from one making to the next."""
    headers = {
        key: value
        for key, value in member.pax_headers.items()
        if key not in _TAR_FIELDS and not key.startswith("GNU.sparse.")
    }
    link = member.linkname.removeprefix("./") if member.islnk() else member.linkname
    plain = member.replace(name=name, mtime=0, uname="", gname="", linkname=link, deep=False)
    plain.pax_headers = headers
    if plain.isreg():
        plain.type = tarfile.REGTYPE  # the reader has filled the holes of a sparse file
    return plain


def _writer(out: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=out, mode="w|", bufsize=CHUNK, format=tarfile.PAX_FORMAT)

"""A bundle as one file: how it is written, and read without trust in what is in it.

It is a tar of blobs, each named by its sha256, which zstd compresses. First comes the manifest,
which a reader has after some kilobytes, and then its signature, which is empty where there is none.
The names of files are in the manifest alone: nothing is ever unpacked under a name of the tar's.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import shutil
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any, Literal, cast

import msgspec

from slipway.bundle import environment, manifest
from slipway.bundle.keys import key_of
from slipway.bundle.progress import Progress
from slipway.errors import Problem, SlipwayError
from slipway.files import link_or_copy, replacing
from slipway.oci.blobs import CHUNK, DigestMismatch, HashingReader

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMAT = "slipway-bundle/1"

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
BLOBS = "blobs/sha256/"

BESIDE = "beside"
"""What comes with a bundle and is none of it: licences, the node image."""

MOST_TEXT = 16 << 20
"""How many bytes the manifest and its signature may have."""

LEVEL = 9
"""How hard zstd compresses: an archive is made once, and fetched by many."""

_BLOCK = 512
"""Bytes of a tar's header, of which contents are filled up to a multiple (pax(1), ustar)."""

_END = bytes(_BLOCK)


class Damaged(ValueError):
    """An archive that is not as it should be; the text says why."""


_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the archive; ``program`` says that it can be run."""

    sha256: _Sha256
    size: Annotated[int, msgspec.Meta(ge=0)]
    program: bool = False


class _About(msgspec.Struct, frozen=True):
    """What has to be said about the bundle."""

    platform: str
    versions: dict[str, str]
    parts: list[str] = []


class _Document(msgspec.Struct, frozen=True):
    """The manifest as it is written."""

    format: Literal["slipway-bundle/1"]
    key: _Sha256
    about: _About
    bundle: dict[str, File]
    beside: dict[str, File]


@dataclass(frozen=True)
class Contents:
    """What an archive has: its manifest, and the signature of that as it came.

    ``key`` is that of the lock that the bundle was made of.
    """

    text: bytes
    signature: bytes = b""

    @property
    def written(self) -> tuple[bytes, bytes]:
        """Both, as they are in the archive."""
        return self.text, self.signature

    @cached_property
    def _document(self) -> _Document:
        try:
            document = msgspec.json.decode(self.text, type=_Document)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Damaged(f"has no manifest that can be read: {error}") from error
        names = {*document.bundle, *document.beside}
        for name in names:
            if not _is_plain(name) or any(
                str(each) in names for each in PurePosixPath(name).parents
            ):
                raise Damaged(f"names a file {name!r}, which may not be")
        sizes: dict[str, int] = {}
        for file in (*document.bundle.values(), *document.beside.values()):
            if sizes.setdefault(file.sha256, file.size) != file.size:
                raise Damaged(f"says of {file.sha256} that it has two sizes")
        return document

    @property
    def key(self) -> str:
        """The key of the lock."""
        return self._document.key

    @property
    def platform(self) -> str:
        """What it runs on, as ``linux/amd64``."""
        return self._document.about.platform

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of the lock."""
        return self._document.about.versions

    @property
    def about(self) -> Mapping[str, Any]:
        """What whoever made the bundle recorded about it, and which files came beside it."""
        return {**json.loads(self.text)["about"], BESIDE: sorted(self._document.beside)}

    @property
    def bundle(self) -> Mapping[str, File]:
        """The files of the bundle itself."""
        return self._document.bundle

    @cached_property
    def files(self) -> Mapping[str, File]:
        """Those, and what is told and carried beside them."""
        return {**self._document.beside, **self._document.bundle}

    @cached_property
    def content(self) -> str:
        """A key of what is in it, whatever it was made of."""
        return key_of({name: file.sha256 for name, file in self.files.items()})

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The size of each content, by its sha256."""
        return {file.sha256: file.size for file in self.files.values()}

    def is_in(self, sums: Mapping[str, str]) -> bool:
        """Whether a folder whose files have these sums has the bundle."""
        return all(sums.get(name) == file.sha256 for name, file in self.bundle.items())


def _is_plain(name: str) -> bool:
    """Whether a file below a folder may have this name."""
    return (
        name not in ("", ".", MANIFEST)
        and posixpath.normpath(name) == name
        and not name.startswith(("/", "../"))
        and name != ".."
        and name.isprintable()
    )


def write(
    out: Path,
    bundle: Path,
    beside: Path,
    key: str,
    sign: Callable[[bytes], bytes] | None,
    say: Callable[[str], None],
) -> Contents:
    """Write the file ``out``, whole or not at all, with a bundle and what is in ``beside``.

    What the bundle's folder has that its manifest does not know goes along. ``sign`` gives the
    signature of a text. Raises SlipwayError when a file is not what it was, or there is no room.
    """
    listed = manifest.read(bundle) or {}
    about, known = dict(listed["about"]), listed["sha256"]
    own = {name: bundle / name for name in sorted({*known} - {*about.pop(BESIDE, ())})}
    others = {
        path.relative_to(folder).as_posix(): path
        for folder in (bundle, beside)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    added = {name: path for name, path in others.items() if name not in {*own, manifest.MANIFEST}}
    sums = {**{name: manifest.sha256_of(path) for name, path in added.items()}, **known}
    files = _files({**own, **added}, sums)
    document = {
        "format": FORMAT,
        "key": key,
        "about": about,
        "bundle": {name: files[name] for name in own},
        BESIDE: {name: files[name] for name in added},
    }
    contents = Contents(json.dumps(document, indent=1, sort_keys=True).encode() + b"\n")
    if sign:
        contents = Contents(contents.text, sign(contents.text))
    # Who has no environment yet reads no more than what makes one.
    in_order = sorted({**own, **added}.items(), key=lambda each: not environment.is_of(each[0]))
    paths = {contents.files[name].sha256: path for name, path in in_order}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as file:
            _write(file, contents, paths, say)
    except DigestMismatch as error:
        what = f"is damaged, or was changed meanwhile: {error}"
        raise SlipwayError(
            Problem(str(bundle), what, "run again: it is checked and mended")
        ) from error
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}; nothing is left of it"
        raise SlipwayError(Problem(str(out), what, "make room, or write it elsewhere")) from error
    return contents


def _files(paths: Mapping[str, Path], sums: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """What the manifest says of files; a content that is a program somewhere is one everywhere."""
    states = {name: path.stat() for name, path in paths.items()}
    programs = {sums[name] for name, state in states.items() if state.st_mode & 0o100}
    return {
        name: {"sha256": sums[name], "size": state.st_size, "program": sums[name] in programs}
        for name, state in states.items()
    }


def _write(
    file: IO[bytes], contents: Contents, paths: Mapping[str, Path], say: Callable[[str], None]
) -> None:
    """Write what is told first as a frame of zstd's own, so that little has to be read for it."""
    names = (MANIFEST, SIGNATURE)
    head = b"".join(_entry(*pair) for pair in zip(names, contents.written, strict=True))
    file.write(zstd.compress(head, LEVEL))
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.nb_workers: os.cpu_count() or 1,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    progress = Progress("packed", sum(contents.sizes.values()), say)
    with zstd.ZstdFile(file, "w", options=options) as packed:
        for sha256, path in paths.items():
            size = contents.sizes[sha256]
            packed.write(_header(BLOBS + sha256, size))
            with path.open("rb") as source:
                reader = HashingReader(source, f"sha256:{sha256}", size)
                while chunk := reader.read(CHUNK):
                    packed.write(chunk)
                    progress.add(len(chunk))
                reader.check()
            packed.write(bytes(-size % _BLOCK))
        packed.write(_END * 2)


def _entry(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(-len(content) % _BLOCK)


def _header(name: str, size: int) -> bytes:
    """A file's header, the same for the same file whoever writes it and when."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


@contextmanager
def opened(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """What is in a compressed stream; Damaged for what cannot be decompressed or ends early."""
    try:
        with zstd.ZstdFile(stream) as plain:
            yield cast(IO[bytes], plain)
    except zstd.ZstdError as error:
        raise Damaged(f"cannot be decompressed: {error}") from error
    except EOFError as error:
        raise Damaged("ends early") from error


def read_contents(plain: IO[bytes]) -> Contents:
    """The manifest with its signature, which come first; Damaged when they do not."""
    contents = Contents(_text(plain, MANIFEST), _text(plain, SIGNATURE))
    _ = contents.files  # whether it can be read
    return contents


def unpack(
    plain: IO[bytes],
    contents: Contents,
    into: Path,
    found: Callable[[str], Path | None],
    progress: Progress,
) -> None:
    """Write all files below ``into``, each content once, from what follows the manifest.

    ``found`` may give a file that has a content already, by its sha256; it gets one more name.
    Raises Damaged when something is missing, is something else than the manifest says, or is there
    that the manifest does not name.
    """
    names: dict[str, list[str]] = {}
    for name, file in contents.files.items():
        names.setdefault(file.sha256, []).append(name)
        (into / name).parent.mkdir(parents=True, exist_ok=True)
    programs = {file.sha256 for file in contents.files.values() if file.program}
    while entry := _next(plain):
        sha256 = entry.name.removeprefix(BLOBS)
        targets = [into / name for name in names.pop(sha256, ())]
        if not targets or entry.name != BLOBS + sha256:
            raise Damaged(f"has {entry.name}, which its manifest does not name, or has it twice")
        if entry.size != contents.sizes[sha256]:
            raise Damaged(
                f"has {entry.size} bytes of {targets[0].name}, and not as many as it says"
            )
        mode = 0o755 if sha256 in programs else 0o644
        _unpack_one(plain, entry.size, sha256, targets, mode, found, progress)
        _exactly(plain, -entry.size % _BLOCK)
    if names:
        raise Damaged(
            f"lacks {', '.join(sorted(name for each in names.values() for name in each))}"
        )


def _unpack_one(
    plain: IO[bytes],
    size: int,
    sha256: str,
    targets: Sequence[Path],
    mode: int,
    found: Callable[[str], Path | None],
    progress: Progress,
) -> None:
    """Write one content to its places."""
    first, *others = targets
    # What is empty may be a lock, and two locks are not to be one.
    there = found(sha256) if size else None
    if there is not None and stat.S_IMODE(there.stat().st_mode) == mode:
        link_or_copy(there, first)
        for piece in _pieces(plain, size):
            progress.add(len(piece))
    else:
        digest = hashlib.sha256()
        with first.open("xb") as file:
            for piece in _pieces(plain, size):
                digest.update(piece)
                file.write(piece)
                progress.add(len(piece))
            os.fchmod(file.fileno(), mode)
        if digest.hexdigest() != sha256:
            name = first.name
            raise Damaged(
                f"has another content of {name} (sha256 {digest.hexdigest()}, not {sha256})"
            )
    for other in others:
        (link_or_copy if size else shutil.copy2)(first, other)


def _text(plain: IO[bytes], name: str) -> bytes:
    entry = _next(plain)
    if entry is None or entry.name != name or entry.size > MOST_TEXT:
        raise Damaged(f"does not begin with its {name}: it is no archive of a bundle")
    text = _exactly(plain, entry.size)
    _exactly(plain, -entry.size % _BLOCK)
    return text


def _next(plain: IO[bytes]) -> tarfile.TarInfo | None:
    """The next header; None at the end."""
    block = _exactly(plain, _BLOCK)
    if block == _END:
        return None
    try:
        entry = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.TarError, ValueError) as error:
        raise Damaged(f"has a header that cannot be read: {error}") from error
    if entry.type != tarfile.REGTYPE or entry.size < 0:
        raise Damaged(f"has {entry.name}, which is no file")
    return entry


def _exactly(plain: IO[bytes], size: int) -> bytes:
    return b"".join(_pieces(plain, size))


def _pieces(plain: IO[bytes], size: int) -> Iterator[bytes]:
    """The next bytes, in pieces; Damaged when there are fewer."""
    while size:
        piece = plain.read(min(size, CHUNK))
        if not piece:
            raise Damaged("ends early")
        size -= len(piece)
        yield piece

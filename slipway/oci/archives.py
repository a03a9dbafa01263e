"""Images out of archives and into archives.

Read: an OCI layout as a tar or as a directory, and a ``docker save`` tar, each also compressed.
Written: an OCI layout tar, whole or without blobs that the receiver has, and a ``docker save``
tar for tools that know only that.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import posixpath
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, cast

from slipway.errors import Problem, SlipwayError
from slipway.oci.blobs import CHUNK, BlobDirectory, DigestMismatch, HashingReader, copy, is_full
from slipway.oci.model import (
    CONFIG,
    DOCKER_INDEX,
    INDEX,
    LAYER,
    LAYER_GZIP,
    MANIFEST,
    REF_NAME,
    Descriptor,
    Image,
    Manifest,
    architecture_of,
)

CONTAINERD_NAME = "io.containerd.image.name"
LAYOUT_FILE = "oci-layout"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
GZIP_MAGIC = b"\x1f\x8b"

_DECOMPRESSORS: Mapping[bytes, Callable[[IO[bytes]], Any]] = {
    GZIP_MAGIC: gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


class Files(Protocol):
    """The files of an archive, whatever holds them."""

    def open(self, name: str) -> IO[bytes] | None:
        """The file's content, or None when the archive has no such file."""


class DirectoryFiles:
    """Files in a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> IO[bytes] | None:
        """As Files."""
        path = self._root / name
        return path.open("rb") if path.is_file() else None


class TarFiles:
    """Files in a plain tar; only the headers are read until a file is opened."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = {posixpath.normpath(member.name): member for member in tar}

    def open(self, name: str) -> IO[bytes] | None:
        """As Files; a link gives the file that it points to."""
        member = self._members.get(name)
        return self._tar.extractfile(member) if member else None


@contextmanager
def open_archive(path: Path, scratch: Path) -> Iterator[Files]:
    """The files of the archive at ``path``; a compressed one is unpacked into ``scratch`` first.

    Raises OSError, EOFError, lzma.LZMAError or tarfile.TarError when it cannot be read.
    """
    if path.is_dir():
        yield DirectoryFiles(path)
        return
    with path.open("rb") as raw, tempfile.TemporaryFile(dir=scratch) as plain:
        start = raw.read(6)
        raw.seek(0)
        source: IO[bytes] = raw
        for magic, decompress in _DECOMPRESSORS.items():
            if start.startswith(magic):
                copy(decompress(raw), plain)
                plain.seek(0)
                source = plain
        with tarfile.open(fileobj=source, mode="r:") as tar:
            yield TarFiles(tar)


def read_archive(path: Path, ref: str, platform: str, blobs: BlobDirectory) -> Descriptor:
    """Store the blobs of one image of an archive and return the descriptor of its manifest.

    The image is the one named ``ref``, or the only one; of several platforms it is ``platform``.
    A blob that is stored already is not read. A ``docker save`` archive gets a manifest of its
    own; its config and its layers stay as they are.

    Raises SlipwayError when the archive has no such image, lacks a part of it, or holds something
    else than its digests say, and OSError when there is no room.
    """
    try:
        with open_archive(path, blobs.temporary) as files:
            reader = _Reader(path, files, blobs, ref, platform)
            return reader.read_oci() if files.open("index.json") else reader.read_docker()
    except DigestMismatch as error:
        raise SlipwayError(
            Problem(str(path), f"is damaged: {error}", "make or fetch the archive again")
        ) from error
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError, ValueError, KeyError) as error:
        if is_full(error):
            raise
        raise SlipwayError(
            Problem(str(path), f"cannot be read as an image archive: {error!r}")
        ) from error


class _Reader:
    """Takes one image out of one archive."""

    def __init__(
        self, path: Path, files: Files, blobs: BlobDirectory, ref: str, platform: str
    ) -> None:
        self._path = path
        self._files = files
        self._blobs = blobs
        self._ref = ref
        self._platform = platform

    def read_oci(self) -> Descriptor:
        index = json.loads(self._content("index.json"))
        named = [entry for entry in index["manifests"] if self._is_named(_names_of(entry))]
        entries = list(self._manifests(named or index["manifests"]))
        of_platform = [entry for entry, platform in entries if platform == self._platform]
        if not of_platform:
            offered = ", ".join(sorted({platform for _, platform in entries})) or "nothing"
            raise self._error(f"has no image for {self._platform}; it has {offered}")
        distinct = {Descriptor.of(entry).digest for entry in of_platform}
        if not named and len(distinct) > 1:
            raise self._several(name for entry in index["manifests"] for name in _names_of(entry))
        manifest = Descriptor.of(of_platform[0])
        parts = Manifest.of(self._read_blob(manifest))
        missing = [
            Problem(str(self._path), f"lacks {part.digest} of {self._ref}")
            for part in (parts.config, *parts.layers)
            if not self._store_blob(part)
        ]
        if missing:
            raise SlipwayError(missing)
        return manifest

    def read_docker(self) -> Descriptor:
        entries = json.loads(self._content("manifest.json"))
        named = [entry for entry in entries if self._is_named(entry.get("RepoTags") or [])]
        if not named and len(entries) != 1:
            raise self._several(name for entry in entries for name in entry.get("RepoTags") or [])
        entry = (named or entries)[0]
        config_text = self._content(entry["Config"])
        config = json.loads(config_text)
        platform = _platform_of(config)
        if platform != self._platform:
            raise self._error(f"has no image for {self._platform}; it has {platform}")
        diff_ids: list[str] = config["rootfs"]["diff_ids"]
        if len(diff_ids) != len(entry["Layers"]):
            raise self._error("names more or fewer layers than the image's config")
        layers = [self._docker_layer(*pair) for pair in zip(entry["Layers"], diff_ids, strict=True)]
        digest, size = self._blobs.put(io.BytesIO(config_text))
        manifest = Manifest(Descriptor(CONFIG, digest, size), tuple(layers))
        return Descriptor(MANIFEST, *self._blobs.put(io.BytesIO(manifest.as_blob())))

    def _docker_layer(self, name: str, diff_id: str) -> Descriptor:
        """Store a layer as it is; what is in it, decompressed, has the digest ``diff_id``."""
        with self._file(name) as stream:
            compressed = stream.read(2) == GZIP_MAGIC
            stream.seek(0)
            if not compressed:
                return Descriptor(LAYER, *self._blobs.put(stream, diff_id))
            digest, size = self._blobs.put(stream)
        with gzip.open(self._blobs.path(digest)) as plain:
            reader = HashingReader(cast(IO[bytes], plain), diff_id)
            while reader.read(CHUNK):
                pass
        reader.check()
        return Descriptor(LAYER_GZIP, digest, size)

    def _manifests(self, entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, str]]:
        """The manifests below index entries, each with its platform.

        What is said about an image (an attestation) is there as a manifest for ``unknown/unknown``.
        """
        for entry in entries:
            blob = Descriptor.of(entry)
            if blob.media_type in (INDEX, DOCKER_INDEX):
                children = json.loads(self._read_blob(blob))["manifests"]
                yield from self._manifests(
                    [child for child in children if self._has(Descriptor.of(child))]
                )
            elif platform := entry.get("platform"):
                yield entry, _platform_of(platform)
            else:
                config = self._read_blob(Manifest.of(self._read_blob(blob)).config)
                yield entry, _platform_of(json.loads(config))

    def _has(self, blob: Descriptor) -> bool:
        """Whether the blob can be read; an index may name platforms that were left out."""
        stream = self._files.open(_blob_path(blob.digest))
        return stream is not None or self._blobs.has(blob.digest, blob.size)

    def _read_blob(self, blob: Descriptor) -> bytes:
        if not self._store_blob(blob):
            raise self._error(f"lacks {blob.digest} of {self._ref}")
        return self._blobs.read(blob.digest)

    def _store_blob(self, blob: Descriptor) -> bool:
        """Store the blob unless it is stored; False when it is not in the archive either."""
        if self._blobs.has(blob.digest, blob.size):
            return True
        stream = self._files.open(_blob_path(blob.digest))
        if stream is None:
            return False
        with stream:
            self._blobs.put(stream, blob.digest)
        return True

    def _is_named(self, names: Sequence[str]) -> bool:
        return any(_familiar(name) == _familiar(self._ref) for name in names)

    def _file(self, name: str) -> IO[bytes]:
        stream = self._files.open(name)
        if stream is None:
            raise self._error(f"is no image archive: it lacks {name}")
        return stream

    def _content(self, name: str) -> bytes:
        with self._file(name) as stream:
            return stream.read()

    def _several(self, names: Iterator[str]) -> SlipwayError:
        found = ", ".join(sorted(set(names))) or "images without a name"
        return self._error(f"holds several images and none is {self._ref}: {found}")

    def _error(self, what: str) -> SlipwayError:
        return SlipwayError(Problem(str(self._path), what))


def write_oci_archive(
    images: Sequence[Image], blobs: BlobDirectory, out: IO[bytes], without: Set[str]
) -> None:
    """Write an OCI layout tar of ``images`` that leaves out the blobs in ``without``.

    What is sent is checked on its way. Raises DigestMismatch at a damaged blob, and
    FileNotFoundError at a missing one; the archive is then of no use.
    """
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            image.manifest.as_json(annotations={REF_NAME: image.ref}) for image in images
        ],
    }
    wanted = {digest: size for image in images for digest, size in image.blobs.items()}
    with tarfile.open(fileobj=out, mode="w|", bufsize=CHUNK) as tar:
        _add_bytes(tar, LAYOUT_FILE, LAYOUT)
        _add_bytes(tar, "index.json", json.dumps(index).encode())
        for digest, size in wanted.items():
            if digest not in without:
                with blobs.open(digest) as stream:
                    _add_stream(tar, _blob_path(digest), size, HashingReader(stream, digest))


def write_docker_archive(image: Image, blobs: BlobDirectory, out: IO[bytes]) -> None:
    """Write ``image`` as ``docker save`` does, for ``docker load`` and for Jib's ``tar://``.

    Jib looks at the first layer to see whether the layers are compressed, so they are either all
    gzip, as they are stored, or all plain. Errors are those of :func:`write_oci_archive`.
    """
    compressed = {layer.digest: _is_gzip(blobs, layer.digest) for layer in image.layers}
    as_stored = all(compressed.values())
    names = {layer.digest: f"{layer.digest.removeprefix('sha256:')}.tar" for layer in image.layers}
    config = f"{image.config_digest.removeprefix('sha256:')}.json"
    manifest = {
        "Config": config,
        "RepoTags": [image.ref],
        "Layers": [names[layer.digest] for layer in image.layers],
    }
    with tarfile.open(fileobj=out, mode="w|", bufsize=CHUNK) as tar:
        _add_bytes(tar, "manifest.json", json.dumps([manifest]).encode())
        _add_bytes(tar, config, blobs.read(image.config_digest))
        for layer in {layer.digest: layer for layer in image.layers}.values():
            with blobs.open(layer.digest) as stream:
                if compressed[layer.digest] and not as_stored:
                    _add_decompressed(tar, names[layer.digest], stream, blobs.temporary)
                else:
                    reader = HashingReader(stream, layer.digest)
                    _add_stream(tar, names[layer.digest], layer.size, reader)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    _add_stream(tar, name, len(content), HashingReader(io.BytesIO(content)))


def _add_stream(tar: tarfile.TarFile, name: str, size: int, reader: HashingReader) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    tar.addfile(member, cast(IO[bytes], reader))
    reader.check()


def _add_decompressed(tar: tarfile.TarFile, name: str, stream: IO[bytes], scratch: Path) -> None:
    with gzip.open(stream) as content, tempfile.TemporaryFile(dir=scratch) as plain:
        copy(cast(IO[bytes], content), plain)
        size = plain.tell()
        plain.seek(0)
        _add_stream(tar, name, size, HashingReader(plain))


def _is_gzip(blobs: BlobDirectory, digest: str) -> bool:
    with blobs.open(digest) as stream:
        return stream.read(2) == GZIP_MAGIC


def _blob_path(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _names_of(entry: Mapping[str, Any]) -> list[str]:
    annotations = entry.get("annotations") or {}
    return [annotations[key] for key in (CONTAINERD_NAME, REF_NAME) if key in annotations]


def _familiar(ref: str) -> str:
    """The reference without the parts that Docker tools leave out."""
    return ref.removeprefix("docker.io/").removeprefix("library/")


def _platform_of(value: Mapping[str, Any]) -> str:
    """``linux/amd64`` from a platform or a config."""
    return f"{value['os']}/{architecture_of(value['architecture'])}"

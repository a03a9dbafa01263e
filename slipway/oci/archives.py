"""Images out of archives and into archives.

Read: an OCI layout as a tar or as a directory, and a ``docker save`` tar, each also compressed.
Written: an OCI layout tar, whole or without blobs that the receiver has, and a ``docker save``
tar for tools that know only that.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from slipway.errors import Problem, SlipwayError
from slipway.oci.blobs import CHUNK, BlobDirectory, DigestMismatch, HashingReader, copy, is_full
from slipway.oci.files import (
    GZIP,
    UNREADABLE,
    Compression,
    Files,
    Unusable,
    compression_of,
    decompressed,
    open_archive,
)
from slipway.oci.model import (
    CONFIG,
    DOCKER_INDEX,
    INDEX,
    LAYER,
    MANIFEST,
    MOST_JSON,
    MOST_LAYERS,
    REF_NAME,
    Descriptor,
    Image,
    Manifest,
    diff_ids_of,
    parsed,
    platform_of,
    readable,
    typed,
)

CONTAINERD_NAME = "io.containerd.image.name"
LAYOUT_FILE = "oci-layout"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
MOST_DEPTH = 4
"""How many indexes may be in one another."""

MOST_MANIFESTS = 1000
"""How many images an archive may have."""

AGAIN = "make or fetch the archive again"


def read_archive(
    path: Path, ref: str, platform: str, blobs: BlobDirectory, *, spare: bool = False
) -> Descriptor:
    """Store the blobs of one image of an archive and return the descriptor of its manifest.

    The image is the one named ``ref``, or the only one; of several platforms it is ``platform``.
    A blob that is stored already is not read. A ``docker save`` archive gets a manifest of its
    own; its config and its layers stay as they are. Files of a ``spare`` directory may be linked.

    Raises SlipwayError when the archive has no such image, lacks a part of it, or holds something
    else than its digests say, and OSError when there is no room.
    """
    try:
        with open_archive(path, blobs.temporary, spare=spare) as files:
            reader = _Reader(path, files, blobs, ref, platform)
            return reader.read_docker() if reader.lacks("index.json") else reader.read_oci()
    except DigestMismatch as error:
        raise SlipwayError(Problem(str(path), f"is damaged: {error}", AGAIN)) from error
    except Unusable as error:
        raise SlipwayError(Problem(str(path), str(error), error.fix or AGAIN)) from error
    except UNREADABLE as error:
        if is_full(error):
            raise
        what = f"cannot be read as an image archive: {_words(error)}"
        raise SlipwayError(Problem(str(path), what, AGAIN)) from error
    except (ValueError, RecursionError, OverflowError) as error:
        what = f"cannot be read as an image archive: {error}"
        raise SlipwayError(Problem(str(path), what, AGAIN)) from error


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


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
        self._seen = 0

    def lacks(self, name: str) -> bool:
        """Whether the archive has no file of that name."""
        stream = self._files.open(name)
        if stream:
            stream.close()
        return stream is None

    def read_oci(self) -> Descriptor:
        with _about("index.json"):
            index = _entries(self._content("index.json"))
            names = [_names_of(entry) for entry in index]
        named = [entry for entry, own in zip(index, names, strict=True) if self._is_named(own)]
        entries = list(self._manifests(named or index, "index.json"))
        of_platform = [blob for blob, platform in entries if platform == self._platform]
        if not of_platform:
            raise self._foreign(platform for _, platform in entries)
        if not named and len({blob.digest for blob in of_platform}) > 1:
            raise self._several(name for own in names for name in own)
        manifest = of_platform[0]
        parts = self._manifest(manifest)
        if problems := list(self._store_all((parts.config, *parts.layers))):
            raise SlipwayError(problems)
        config = self._config(parts)
        if platform_of(config) != self._platform:
            raise self._foreign([platform_of(config)])
        with _about(f"config {parts.config.digest}"):
            diff_ids_of(config, len(parts.layers))
        for layer in parts.layers:
            with _about(f"layer {layer.digest}"):
                self._check_type(layer)
        return manifest

    def read_docker(self) -> Descriptor:
        text = self._content("manifest.json")
        with _about("manifest.json"):
            entries = [typed(entry, dict, "an image") for entry in parsed(text, list)]
            names = [_texts(entry.get("RepoTags") or [], "RepoTags") for entry in entries]
            pairs = zip(entries, names, strict=True)
            named = [entry for entry, own in pairs if self._is_named(own)]
            if not named and len(entries) != 1:
                raise self._several(name for own in names for name in own)
            entry = (named or entries)[0]
            config_name = typed(entry.get("Config"), str, "Config")
            layer_names = _texts(entry.get("Layers") or [], "Layers")
            if len(layer_names) > MOST_LAYERS:
                raise ValueError(f"{len(layer_names)} layers are more than {MOST_LAYERS}")
        config_text = self._content(config_name)
        with _about(f"config {config_name}"):
            config = parsed(config_text, dict)
            platform = platform_of(config)
            diff_ids = diff_ids_of(config, len(layer_names))
        if platform != self._platform:
            raise self._foreign([platform])
        layers = [self._docker_layer(*pair) for pair in zip(layer_names, diff_ids, strict=True)]
        digest, size = self._blobs.put(io.BytesIO(config_text))
        manifest = Manifest(Descriptor(CONFIG, digest, size), tuple(layers))
        return Descriptor(MANIFEST, *self._blobs.put(io.BytesIO(manifest.as_blob())))

    def _docker_layer(self, name: str, diff_id: str) -> Descriptor:
        """Store a layer, as it is where nodes can unpack it.

        What is in it, decompressed, has the digest ``diff_id``.
        """
        with self._file(name) as stream:
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            if self._blobs.has(diff_id, size):
                return Descriptor(LAYER, diff_id, size)
            compression = compression_of(stream)
            if compression is None:
                return Descriptor(LAYER, *self._blobs.put(stream, diff_id))
            if not compression.layer:
                plain = decompressed(stream, size, compression)
                return Descriptor(LAYER, *self._blobs.put(plain, diff_id))
            with self._blobs.new() as blob:
                packed = HashingReader(stream)
                copy(packed, blob.file)
                blob.file.seek(0)
                HashingReader(decompressed(blob.file, size, compression), diff_id).drain()
                blob.file.seek(0, io.SEEK_END)
                return Descriptor(compression.layer, packed.digest, blob.keep(packed.digest))

    def _check_type(self, layer: Descriptor) -> None:
        """Raise ValueError for a layer that nodes would take for a plain tar, and that is none."""
        kind = _compression(self._blobs, layer.digest)
        if kind and kind.layer and layer.media_type == LAYER:
            raise ValueError(f"it is compressed, and its mediaType is {layer.media_type}")

    def _manifests(
        self, entries: Sequence[Any], where: str, depth: int = 1
    ) -> Iterator[tuple[Descriptor, str]]:
        """The manifests below index entries, each with its platform.

        What is said about an image (an attestation) is there as a manifest for ``unknown/unknown``.
        """
        for entry in entries:
            self._seen += 1
            if self._seen > MOST_MANIFESTS:
                raise Unusable(f"has more than {MOST_MANIFESTS} manifests")
            with _about(where):
                blob = Descriptor.of(entry)
                platform = platform_of(entry["platform"]) if entry.get("platform") else None
            if blob.media_type in (INDEX, DOCKER_INDEX):
                if depth == MOST_DEPTH:
                    raise Unusable(f"has more than {MOST_DEPTH} indexes in one another")
                with _about(f"index {blob.digest}"):
                    children = _entries(self._read_blob(blob))
                    there = [child for child in children if self._has(Descriptor.of(child))]
                yield from self._manifests(there, f"index {blob.digest}", depth + 1)
            elif platform:
                yield blob, platform
            else:
                yield blob, platform_of(self._config(self._manifest(blob)))

    def _manifest(self, blob: Descriptor) -> Manifest:
        with _about(f"manifest {blob.digest}"):
            return Manifest.of(self._read_blob(blob))

    def _config(self, parts: Manifest) -> dict[str, Any]:
        """The config of an image; that of an artifact, which is none, says no platform."""
        with _about(f"config {parts.config.digest}"):
            config = parsed(self._read_blob(parts.config), dict)
            platform_of(config)
            return config

    def _has(self, blob: Descriptor) -> bool:
        """Whether the blob can be read; an index may name platforms that were left out."""
        return self._blobs.has(blob.digest, blob.size) or not self.lacks(_blob_path(blob.digest))

    def _read_blob(self, blob: Descriptor) -> bytes:
        """The content of a small blob, stored; it is not begun when it says that it is large."""
        if blob.size > MOST_JSON:
            raise ValueError(f"longer than {readable(MOST_JSON)}")
        if not self._store_blob(blob):
            raise self._error(f"lacks {blob.digest} of {self._ref}")
        try:
            return self._blobs.read(blob.digest)
        except DigestMismatch:  # it was stored long ago, and is damaged there
            self._blobs.remove(blob.digest)
            return self._read_blob(blob)

    def _store_all(self, parts: Iterable[Descriptor]) -> Iterator[Problem]:
        """Store the blobs, and say all that is wrong with them."""
        for part in dict.fromkeys(parts):
            try:
                if not self._store_blob(part):
                    yield Problem(str(self._path), f"lacks {part.digest} of {self._ref}", AGAIN)
            except (DigestMismatch, Unusable) as error:
                yield Problem(str(self._path), f"is damaged: {error}", AGAIN)

    def _store_blob(self, blob: Descriptor) -> bool:
        """Store the blob unless it is stored; False when it is not in the archive either."""
        if self._blobs.has(blob.digest, blob.size):
            return True
        name = _blob_path(blob.digest)
        if spare := self._files.spare(name):
            self._blobs.take(spare, blob.digest, blob.size)
            return True
        stream = self._files.open(name)
        if stream is None:
            return False
        with stream:
            self._blobs.put(stream, blob.digest, blob.size)
        return True

    def _is_named(self, names: Sequence[str]) -> bool:
        return any(_familiar(name) == _familiar(self._ref) for name in names)

    def _file(self, name: str) -> IO[bytes]:
        stream = self._files.open(name)
        if stream is None:
            raise self._error(f"is no image archive: it lacks {name}")
        return stream

    def _content(self, name: str) -> bytes:
        """A small file's content, or a little more than such a file may have."""
        content = bytearray()
        with self._file(name) as stream:
            while len(content) <= MOST_JSON and (chunk := stream.read(CHUNK)):
                content += chunk
        return bytes(content)

    def _foreign(self, platforms: Iterable[str]) -> SlipwayError:
        offered = ", ".join(sorted({*platforms})) or "nothing"
        what = f"has no image for {self._platform}; it has {offered}"
        return self._error(what, f"make the archive for {self._platform}")

    def _several(self, names: Iterable[str]) -> SlipwayError:
        found = ", ".join(sorted(set(names))) or "images without a name"
        what = f"holds several images and none is {self._ref}: {found}"
        return self._error(what, "make an archive of the one image")

    def _error(self, what: str, fix: str = AGAIN) -> SlipwayError:
        return SlipwayError(Problem(str(self._path), what, fix))


@contextmanager
def _about(part: str) -> Iterator[None]:
    """Say of which part of the archive something is wrong."""
    try:
        yield
    except Unusable:
        raise
    except ValueError as error:
        raise Unusable(f"cannot be read as an image archive: {part}: {error}") from error


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
    kinds = {layer.digest: _compression(blobs, layer.digest) for layer in image.layers}
    as_stored = all(kind is GZIP for kind in kinds.values())
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
                if (kind := kinds[layer.digest]) and not as_stored:
                    content = cast(IO[bytes], kind.open(stream))
                    _add_decompressed(tar, names[layer.digest], content, blobs.temporary)
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


def _add_decompressed(tar: tarfile.TarFile, name: str, content: IO[bytes], scratch: Path) -> None:
    with content, tempfile.TemporaryFile(dir=scratch) as plain:
        copy(content, plain)
        size = plain.tell()
        plain.seek(0)
        _add_stream(tar, name, size, HashingReader(plain))


def _compression(blobs: BlobDirectory, digest: str) -> Compression | None:
    with blobs.open(digest) as stream:
        return compression_of(stream)


def _blob_path(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _entries(text: bytes) -> list[Any]:
    """The entries of an index; ValueError when it is none."""
    entries = typed(parsed(text, dict).get("manifests"), list, "manifests")
    return [typed(entry, dict, "an entry of manifests") for entry in entries]


def _names_of(entry: Mapping[str, Any]) -> list[str]:
    annotations = typed(entry.get("annotations") or {}, dict, "annotations")
    keys = (CONTAINERD_NAME, REF_NAME)
    return [typed(annotations[key], str, key) for key in keys if key in annotations]


def _texts(value: Any, what: str) -> list[str]:
    return [typed(each, str, f"an entry of {what}") for each in typed(value, list, what)]


def _familiar(ref: str) -> str:
    """The reference without the parts that Docker tools leave out."""
    return ref.removeprefix("docker.io/").removeprefix("library/")

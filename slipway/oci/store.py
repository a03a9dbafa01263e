"""The image store: an OCI image layout directory that several processes may use at once."""

from __future__ import annotations

import fcntl
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from slipway.errors import Problem, SlipwayError
from slipway.files import replacing
from slipway.locks import locked
from slipway.oci.archives import (
    LAYOUT,
    LAYOUT_FILE,
    read_archive,
    write_docker_archive,
    write_oci_archive,
)
from slipway.oci.blobs import BlobDirectory, DigestMismatch, HashingWriter, is_full
from slipway.oci.files import UNREADABLE, Unusable, open_tar
from slipway.oci.layers import Layer
from slipway.oci.model import (
    CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    REF_NAME,
    Descriptor,
    Image,
    ImageConfig,
    Manifest,
    chain_id,
    check_ref,
    machine_platform,
    readable,
)


class ImageStore:
    """Images by full reference in the OCI image layout directory ``root``, made when missing.

    An image counts as stored when all its blobs are there with their sizes, so one that lost a
    blob is simply made again. ``platform`` (``linux/amd64``) is what it takes out of archives, this
    machine's unless it is said. Two locks keep processes apart: ``index`` is held to change the
    list of images; ``blobs`` is shared by everyone who adds or sends and held alone to collect
    garbage, so that no blob goes away between being written and being listed.
    """

    def __init__(self, root: Path, platform: str = "") -> None:
        self.root = root
        self.platform = platform or machine_platform()
        self._blobs = BlobDirectory(root)

    def images(self, refs: Collection[str] | None = None) -> dict[str, Image]:
        """The images that are wholly stored, of ``refs`` or of all, by their references."""
        found = (
            self._image(entry)
            for entry in self._entries()
            if refs is None or entry["annotations"][REF_NAME] in refs
        )
        return {image.ref: image for image in found if image is not None}

    def get(self, ref: str) -> Image | None:
        """The image with this reference, or None when it is not (or no longer wholly) stored."""
        return self.images([ref]).get(ref)

    def require(self, refs: Sequence[str]) -> list[Image]:
        """The images with these references; SlipwayError names all that are not stored."""
        images = self.images({*refs})
        missing = [Problem(ref, f"is not in the image store {self.root}") for ref in refs]
        missing = [problem for problem in missing if problem.where not in images]
        if missing:
            raise SlipwayError(missing)
        return [images[ref] for ref in refs]

    def add_archive(
        self, path: Path, ref: str, platform: str | None = None, *, spare: bool = False
    ) -> Image:
        """Store an image out of an archive under ``ref`` and return it.

        The archive is an OCI layout (tar or directory) or a ``docker save`` tar; ``platform`` (None
        means the store's) picks one of several. It stays as it is; only of a directory that is
        ``spare``, whose files nobody needs or changes any more, files may become the store's, and
        links in it may lead anywhere. Raises SlipwayError when the archive is damaged or has no
        such image, and when there is no room for it.
        """
        check_ref(ref)
        wanted = platform or self.platform
        with self._adding(0 if spare else _size_of(path)):
            manifest = read_archive(path, ref, wanted, self._blobs, spare=spare)
            return self._enter(ref, manifest, wanted)

    def add_image(self, ref: str, layers: Sequence[Layer], config: ImageConfig) -> Image:
        """Make an image of ``layers``, bottom one first, store it under ``ref`` and return it.

        Layers are stored as plain tars: that costs no time, Jib takes them as they are, and nodes
        import them no slower than gzip. The same layers and config give the same digests.
        """
        check_ref(ref)
        with self._adding():
            return self._put_image(ref, tuple(map(self._put_layer, layers)), config)

    def add_stacked(
        self, ref: str, below: Sequence[tuple[ImageStore, Image]], config: ImageConfig
    ) -> Image:
        """Make an image of the layers of others, bottom one first, each in its store.

        Those were made by :meth:`add_image`. Raises SlipwayError when one is damaged.
        """
        check_ref(ref)
        layers = tuple(layer for _, image in below for layer in image.layers)
        with self._adding():
            for other, image in below:
                self._take(other, image, {layer.digest: layer.size for layer in image.layers})
            return self._put_image(ref, layers, config)

    def adopt(self, other: ImageStore) -> None:
        """Store every image of ``other`` here too, with the same blobs.

        Raises SlipwayError when one of them is damaged.
        """
        with self._adding():
            for image in other.images().values():
                self._take(other, image, image.blobs)
                self._enter(image.ref, image.manifest, image.platform)

    def chain_id(self, image: Image) -> str | None:
        """Chain ID of all layers of a stored image: the name of the snapshot it unpacks to.

        None when its config does not say (any longer) what it consists of.
        """
        try:
            return chain_id(json.loads(self._blobs.read(image.config_digest))["rootfs"]["diff_ids"])
        except (FileNotFoundError, DigestMismatch, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def open_layer(self, layer: Descriptor) -> Iterator[tarfile.TarFile]:
        """What is in a layer of a stored image, for as long as this lasts.

        Raises SlipwayError when it is not there, or cannot be read as a tar.
        """
        try:
            with (
                self._holding(),
                self._blobs.open(layer.digest) as blob,
                open_tar(blob, layer.size, self._blobs.temporary) as tar,
            ):
                yield tar
        except (*UNREADABLE, Unusable) as error:
            what = f"{layer.digest} cannot be read as a layer: {error}"
            raise SlipwayError(Problem(str(self.root), what)) from error

    def stored_at(self, image: Image) -> float:
        """When the image was last added, in seconds since the epoch."""
        return self._blobs.path(image.manifest_digest).stat().st_mtime

    def name(self, ref: str, other: str) -> None:
        """Have the image ``ref`` under another reference as well.

        Raises SlipwayError when it is not stored.
        """
        with self._adding():
            [image] = self.require([ref])
            self._enter(other, image.manifest, image.platform)

    def remove(self, *refs: str) -> bool:
        """Take ``refs`` off the list; whether one was on it. Their blobs stay for a while."""
        with self._adding():
            return self._change_index(
                lambda entries: [
                    entry for entry in entries if entry["annotations"][REF_NAME] not in refs
                ]
            )

    def collect_garbage(self, wait: bool = True) -> int:
        """Remove the blobs of no image, and what broken-off writes left; return the bytes freed.

        Waits until no one adds to the store or sends from it; without ``wait`` it leaves all as
        it is while someone does.
        """
        if not self.root.exists():
            return 0
        self._blobs.create()
        freed = 0
        try:
            with self._lock("blobs", fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB):
                for path in self._garbage(self.images().values()):
                    freed += path.stat().st_size
                    path.unlink()
        except BlockingIOError:
            return 0
        return freed

    def garbage(self, images: Iterable[Image]) -> int:
        """Bytes that a collection would free if only ``images`` were stored."""
        if not self.root.exists():
            return 0
        return sum(path.stat().st_size for path in self._garbage(images))

    def verify(self, ref: str) -> list[str]:
        """Digests of the image's blobs that are missing or damaged; reads every byte of it.

        Raises SlipwayError when ``ref`` is not stored.
        """
        [image] = self.require([ref])
        return [digest for digest in image.blobs if not self._blobs.is_sound(digest)]

    def write_archive(
        self, refs: Sequence[str], out: IO[bytes], without: Set[str] = frozenset()
    ) -> None:
        """Write the images as one OCI layout tar, leaving out blobs whose digest is in ``without``.

        Each image has its full reference as ``org.opencontainers.image.ref.name``, which
        containerd takes as it stands. Raises SlipwayError when an image is not stored, or when a
        blob turns out to be damaged; that blob is removed, so that the image can be added anew.
        """
        with self._sending(refs) as images:
            write_oci_archive(images, self._blobs, out, without)

    def write_docker_archive(self, ref: str, path: Path) -> None:
        """Write the image to ``path`` as ``docker save`` does; whole or not at all.

        ``docker load`` and Jib's ``tar://`` base read it. Errors are those of
        :meth:`write_archive`.
        """
        with self._sending([ref]) as [image], replacing(path) as out:
            write_docker_archive(image, self._blobs, out)

    @contextmanager
    def _sending(self, refs: Sequence[str]) -> Iterator[list[Image]]:
        """The images, whose blobs stay as long as this lasts."""
        try:
            with self._holding():
                yield self.require(refs)
        except DigestMismatch as error:
            self._blobs.remove(error.digest)
            raise SlipwayError(
                Problem(
                    str(self.root),
                    f"{error.digest} is damaged; it has been removed",
                    "run again: the image it belongs to is then made or fetched anew",
                )
            ) from error

    def _garbage(self, images: Iterable[Image]) -> list[Path]:
        """The files that none of ``images`` needs."""
        used = {digest for image in images for digest in image.blobs}
        unused = (digest for digest in self._blobs.digests() if digest not in used)
        return [*map(self._blobs.path, unused), *self._blobs.temporary.iterdir()]

    def _image(self, entry: dict[str, Any]) -> Image | None:
        """The image of an index entry, or None when it is not whole."""
        try:
            descriptor = Descriptor.of(entry)
            manifest = Manifest.of(self._blobs.read(descriptor.digest))
        except (FileNotFoundError, DigestMismatch, ValueError):
            return None
        platform = entry["platform"]
        image = Image(
            ref=entry["annotations"][REF_NAME],
            platform=f"{platform['os']}/{platform['architecture']}",
            manifest=descriptor,
            config=manifest.config,
            layers=manifest.layers,
        )
        return image if all(self._blobs.has(*blob) for blob in image.blobs.items()) else None

    def _take(self, other: ImageStore, image: Image, blobs: Mapping[str, int]) -> None:
        """Have blobs of an image of another store; SlipwayError when one of them is damaged."""
        for blob in blobs.items():
            try:
                self._blobs.take(other._blobs.path(blob[0]), *blob)
            except DigestMismatch as error:
                what = f"{image.ref} is damaged: {error}"
                fix = f"remove {other.root}; it is made anew"
                raise SlipwayError(Problem(str(other.root), what, fix)) from error

    def _put_image(self, ref: str, layers: tuple[Descriptor, ...], config: ImageConfig) -> Image:
        """Store an image of layers that are plain tars, and are stored."""
        blob = self._put_bytes(CONFIG, config.as_blob([layer.digest for layer in layers]))
        manifest = self._put_bytes(MANIFEST, Manifest(blob, layers).as_blob())
        return self._enter(ref, manifest, f"linux/{config.architecture}")

    def _put_layer(self, layer: Layer) -> Descriptor:
        with self._blobs.new() as blob:
            hashing = HashingWriter(blob.file)
            layer.write(cast(IO[bytes], hashing))
            return Descriptor(LAYER, hashing.digest, blob.keep(hashing.digest))

    def _put_bytes(self, media_type: str, content: bytes) -> Descriptor:
        return Descriptor(media_type, *self._blobs.put(io.BytesIO(content)))

    def _enter(self, ref: str, manifest: Descriptor, platform: str) -> Image:
        """List the image under ``ref``, in place of what had that name, and return it."""
        system, _, architecture = platform.partition("/")
        entry = manifest.as_json(
            annotations={REF_NAME: ref},
            platform={"os": system, "architecture": architecture},
        )
        self._change_index(
            lambda entries: sorted(
                [*(each for each in entries if each["annotations"][REF_NAME] != ref), entry],
                key=lambda each: str(each["annotations"][REF_NAME]),
            )
        )
        image = self._image(entry)
        if image is None:
            raise SlipwayError(Problem(ref, f"lost a blob while it was stored in {self.root}"))
        return image

    def _entries(self) -> list[dict[str, Any]]:
        path = self.root / "index.json"
        try:
            entries: list[dict[str, Any]] = json.loads(path.read_bytes())["manifests"]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError) as error:
            raise SlipwayError(
                Problem(str(path), f"is no image index: {error!r}", f"remove {self.root}")
            ) from error
        return entries

    def _change_index(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> bool:
        """Replace the list of images by what ``change`` makes of it; False when it is the same."""
        with self._lock("index", fcntl.LOCK_EX):
            before = self._entries()
            after = change(before)
            if after == before:
                return False
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": after}
            with replacing(self.root / "index.json") as out:
                out.write(json.dumps(index, indent=1).encode())
            return True

    @contextmanager
    def _adding(self, size: int = 0) -> Iterator[None]:
        """The store to be written to, with room for ``size`` bytes.

        Raises SlipwayError when there is less, before anything is written, and when it turns out
        that there is none left.
        """
        try:
            with self._holding():
                if (free := shutil.disk_usage(self.root).free) < size:
                    what = f"has {readable(free)} free, and {readable(size)} are to be stored"
                    raise self._full(f"{what}; nothing was written")
                yield
        except OSError as error:
            if is_full(error):
                raise self._full("has no room left; what is stored is whole") from error
            raise

    def _full(self, what: str) -> SlipwayError:
        return SlipwayError(Problem(str(self.root), what, "make room on that file system"))

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Hold off the collector of garbage; make the store when it is not there yet."""
        self._blobs.create()
        layout = self.root / LAYOUT_FILE
        if not layout.exists():
            with replacing(layout) as out:
                out.write(LAYOUT)
        with self._lock("blobs", fcntl.LOCK_SH):
            yield

    @contextmanager
    def _lock(self, name: str, kind: int) -> Iterator[None]:
        with locked(self.root / f"{name}.lock", f"the image store {self.root}", kind):
            yield


def _size_of(path: Path) -> int:
    """Bytes of an archive, or of a directory that is one; 0 when it is not there."""
    if path.is_dir():
        return sum(file.lstat().st_size for file in path.rglob("*"))
    return path.stat().st_size if path.exists() else 0

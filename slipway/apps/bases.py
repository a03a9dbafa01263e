"""What an image is built on: one of the bundle, an archive, or one that the builder fetches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.oci import Image, ImageStore

BUNDLE_HOST = "bundle.slipway.internal/"
"""How references to images of the bundle begin; no registry answers to that name."""

_ARCHIVE = "tar://"


@dataclass(frozen=True)
class Base:
    """A base image.

    ``identity`` is what makes it the same base: the manifest's digest, an archive's place, size
    and time, or the bare reference of one that the builder itself fetches (``fetch`` is None then).
    """

    ref: str
    identity: str
    fetch: Callable[[], StoredImage] | None


@dataclass(frozen=True)
class StoredImage:
    """An image and the store that it is in."""

    store: ImageStore
    image: Image

    def blob(self, digest: str) -> Path:
        """The file of one of the image's blobs."""
        return self.store.root / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def config(self) -> dict[str, Any]:
        """The image's config."""
        config: dict[str, Any] = json.loads(self.blob(self.image.config_digest).read_bytes())
        return config


class Bases:
    """Finds base images by the words of apps.yml."""

    def __init__(self, apps: ImageStore, bundle: ImageStore, defaults: Mapping[str, str]) -> None:
        self._apps = apps
        self._bundle = bundle
        self._defaults = defaults

    def find(self, tool: str, given: str | None) -> Base | None:
        """The base that a user ``given`` or, without one, the default for the builder ``tool``.

        None means that the project's own choice holds. Raises SlipwayError when the archive or
        the bundle's image does not exist.
        """
        ref = given or self._defaults.get(tool)
        if not ref:
            return None
        if ref.startswith(_ARCHIVE):
            return self._archive(Path(ref.removeprefix(_ARCHIVE)))
        if image := self._bundle.get(ref):
            stored = StoredImage(self._bundle, image)
            return Base(ref, image.manifest_digest, lambda: stored)
        if ref.startswith(BUNDLE_HOST):
            raise SlipwayError(
                Problem(ref, f"is not in the bundle {self._bundle.root}", "make the bundle first")
            )
        return Base(ref, ref, None)

    def _archive(self, path: Path) -> Base:
        try:
            state = path.stat()
        except OSError as error:
            raise SlipwayError(
                Problem(f"base_image {path}", f"cannot be read: {error.strerror}")
            ) from error
        identity = f"{path} {state.st_size} {state.st_mtime_ns}"
        tag = hashlib.sha256(identity.encode()).hexdigest()[:12]
        ref = f"bases.slipway.internal/archive:{tag}"

        def fetch() -> StoredImage:
            image = self._apps.get(ref) or self._apps.add_archive(path, ref)
            return StoredImage(self._apps, image)

        return Base(ref, identity, fetch)

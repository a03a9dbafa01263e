"""What an image is built on: one of the bundle, an archive, or one that the builder fetches."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from slipway.apps.builders.logins import Logins, registry_of
from slipway.apps.names import BUNDLE_HOST
from slipway.cache.layout import BASES, CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.files import Refused, readable, write_whole
from slipway.oci import Image, ImageStore, machine_platform

_ARCHIVE = "tar://"

NO_LOGINS: Logins = {}


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
    """Finds base images by the words of apps.yml.

    ``pull`` brings the image of a registry as an OCI layout into a folder; without it (None)
    builders fetch such images themselves, whenever they build. Which ones were fetched is noted
    in the cache.
    """

    def __init__(
        self,
        apps: ImageStore,
        bundle: ImageStore,
        defaults: Mapping[str, str],
        pull: Callable[[str, Path, Logins], None] | None,
        cache: CacheLayout,
    ) -> None:
        self._apps = apps
        self._bundle = bundle
        self._defaults = defaults
        self._pull = pull
        self._notes = cache.base_notes
        self._work = cache.work
        self._unreachable: dict[str, SlipwayError] = {}

    @cached_property
    def _bundled(self) -> dict[str, Image]:
        """The bundle's images by their references."""
        return self._bundle.images()

    def find(self, tool: str, given: str | None, logins: Logins = NO_LOGINS) -> Base | None:
        """The base that a user ``given`` or, without one, the default for the builder ``tool``.

        A registry is asked with the one of the ``logins`` that is for it.

        None means that the project's own choice holds. Raises SlipwayError when the archive or
        the bundle's image does not exist, or when the registry does not give its image.
        """
        ref = given or self._defaults.get(tool)
        if not ref:
            return None
        if ref.startswith(_ARCHIVE):
            return self._archive(Path(ref.removeprefix(_ARCHIVE)))
        if image := self._bundled.get(ref):
            return _stored(self._bundle, image)
        if ref.startswith(BUNDLE_HOST):
            raise SlipwayError(
                Problem(ref, f"is not in the bundle {self._bundle.root}", "make the bundle first")
            )
        return self._of_registry(ref, logins)

    def _archive(self, path: Path) -> Base:
        identity = file_identity(path, "base_image")
        ref = _store_ref("archive", identity)

        def fetch() -> StoredImage:
            image = self._apps.get(ref) or self._apps.add_archive(path, ref)
            return StoredImage(self._apps, image)

        return Base(ref, identity, fetch)

    def _of_registry(self, ref: str, logins: Logins) -> Base:
        """An image of a registry, which is asked once.

        Which image a tag stood for is noted in a file, and holds until that note is removed. What
        was fetched with a login is only for those who have it.
        """
        login = logins.get(registry_of(ref))
        name = f"{login.user}@{ref}" if login else ref
        stored_ref = _store_ref("registry", name)
        image = self._apps.get(stored_ref)
        if image is not None and self._noted().get(self._note_of(name)) == image.manifest_digest:
            return _stored(self._apps, image)
        if self._pull is None:
            return Base(ref, ref, None)
        if name in self._unreachable:
            raise self._unreachable[name]
        self._work.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(dir=self._work) as folder:
                self._pull(ref, Path(folder), logins)
                image = self._apps.add_archive(Path(folder), stored_ref)
        except SlipwayError as error:
            self._unreachable[name] = error
            raise
        self._note({**self._noted(), self._note_of(name): image.manifest_digest})
        return _stored(self._apps, image)

    def _note_of(self, name: str) -> str:
        """What an image is noted under: with its platform, where that is not this machine's."""
        platform = self._apps.platform
        return name if platform == machine_platform() else f"{name} {platform}"

    def _noted(self) -> dict[str, str]:
        """The digest of each image of a registry that is in the store."""
        try:
            noted: dict[str, str] = json.loads(self._notes.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return noted

    def _note(self, digests: Mapping[str, str]) -> None:
        write_whole(self._notes, json.dumps(digests, indent=1, sort_keys=True))


def file_identity(path: Path, what: str) -> str:
    """What tells a file from another one: place, size and time; SlipwayError, of ``what``.

    Of a folder these are the states of all files in it.
    """
    try:
        if not readable(path).is_dir():
            return _state(path, path.stat())
        files = sorted(Path(place, name) for place, _, names in os.walk(path) for name in names)
        states = "\n".join(_state(file, file.lstat()) for file in files)
        return f"{path} {hashlib.sha256(states.encode()).hexdigest()}"
    except OSError as error:
        raise SlipwayError(Problem(what, f"{path} cannot be read: {error.strerror}")) from error
    except Refused as error:
        raise SlipwayError(Problem(what, f"{path} cannot be read: {error}")) from error


def _state(path: Path, state: os.stat_result) -> str:
    return f"{path} {state.st_size} {state.st_mtime_ns}"


def _store_ref(kind: str, identity: str) -> str:
    """The name in the app store of a base from elsewhere."""
    return f"{BASES}{kind}:{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _stored(store: ImageStore, image: Image) -> Base:
    return Base(image.ref, image.manifest_digest, lambda: StoredImage(store, image))

"""Which bills of materials there are: of the bundle, of Slipway itself, of each image of an app."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cyclonedx.model.component import ComponentType
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from slipway.architecture import Architecture
from slipway.bundle import debian, manifest
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import APPS, CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.files import write_whole
from slipway.oci import Image, ImageStore
from slipway.sbom.document import Part, document
from slipway.sbom.go_binary import go_packages
from slipway.sbom.images import Contents
from slipway.sbom.maven import Repositories
from slipway.sbom.packages import Package

SUFFIX = ".cdx.json"
"""By which CycloneDX's documents in JSON are known."""

BUNDLE, ENVIRONMENT, IMAGES = "bundle", "slipway", "apps"
"""The documents of the bundle and of Slipway itself, and the folder of those of images."""

_PROGRAMS = ("bin", "cni", "tools", "haproxy", "keepalived", "nft")
"""Folders of the bundle with what was compiled."""

_RELEASES = {"bookworm": "12", "trixie": "13"}
"""The numbers of Debian's releases."""


@dataclass(frozen=True)
class _Store:
    """The images of apps for one kind of machine, and what is in them."""

    images: ImageStore
    contents: Contents


@dataclass(frozen=True)
class Bills:
    """Those of the ``bundles`` that are there of this lock, and of all images of apps.

    ``provider`` knows what bundles are made of, ``version`` is that of Slipway.
    """

    provider: SourceProvider
    bundles: Mapping[Architecture, Path]
    version: str

    @property
    def _cache(self) -> CacheLayout:
        return self.provider.cache

    def write(self, folder: Path, say: Callable[[str], None]) -> list[Path]:
        """Write the documents into a folder, and remove those of what is gone.

        Returns those that changed. An image that cannot be read keeps no other from being
        described; SlipwayError names all of them at the end.
        """
        images = folder / IMAGES
        images.mkdir(parents=True, exist_ok=True)
        written = {folder / f"{ENVIRONMENT}{SUFFIX}": self.of_slipway()}
        for architecture, bundle in self.bundles.items():
            if manifest.is_there(bundle):
                own = architecture is Architecture.here()
                name = BUNDLE if own else f"{BUNDLE}-{architecture}"
                written[folder / f"{name}{SUFFIX}"] = self.of_bundle(bundle)
        if not any(map(manifest.is_there, self.bundles.values())):
            say("there is no bundle yet: make up makes it")
        problems: list[Problem] = []
        kept = {*written}
        for name, image, store in self._images():
            path = images / f"{name}{SUFFIX}"
            kept.add(path)
            try:
                written[path] = self.of_image(image, store)
            except SlipwayError as error:
                problems += [
                    Problem(image.ref, f"{each.where}: {each.what}") for each in error.problems
                ]
        changed = [path for path, text in written.items() if _write(path, text)]
        of_bundles = folder.glob(f"{BUNDLE}*{SUFFIX}")
        for path in {*images.glob(f"*{SUFFIX}"), *of_bundles} - kept:
            path.unlink()
            changed.append(path)
        if problems:
            raise SlipwayError(problems)
        return sorted(changed)

    def _images(self) -> Iterator[tuple[str, Image, _Store]]:
        """All images of apps by the name of the file, with the store that has each."""
        own = self._cache.maven.glob("*/own/repository")
        repositories = Repositories([*own, Path.home() / ".m2" / "repository"])
        for path in self._cache.image_stores():
            kind = "" if path == self._cache.images else f"-{path.name}"
            images = ImageStore(path)
            store = _Store(images, Contents(images, repositories))
            for ref, image in sorted(images.images().items()):
                if ref.startswith(APPS):
                    yield f"{_file_name(ref)}{kind}", image, store

    def of_image(self, image: Image, store: _Store) -> str:
        """The document of an image of an app."""
        whole = _of_image(image, store.contents.packages(image))
        return document(whole, (), store.images.stored_at(image), self.version)

    def of_slipway(self) -> str:
        """The document of the Python packages that Slipway runs on."""
        path = self.provider.project / "requirements.txt"
        kind = ComponentType.APPLICATION
        whole = Part(kind, "slipway", self.version, "slipway", [*_pinned(path)])
        return document(whole, (), path.stat().st_mtime, self.version)

    def of_bundle(self, bundle: Path) -> str:
        """The document of a bundle: its programs and images, each with what it is made of."""
        about = manifest.read(bundle) or {}
        packages = {
            name: self._of_debian(debian.of_record(record))
            for name, record in about["about"]["packages"].items()
        }
        parts = [
            *self._programs(bundle, about["sha256"], packages),
            *self._bundled(bundle, packages),
        ]
        whole = Part(ComponentType.APPLICATION, "slipway-bundle", bundle.name, "bundle", [])
        made = (bundle / manifest.MANIFEST).stat().st_mtime
        return document(whole, parts, made, self.version)

    def _programs(
        self, bundle: Path, sums: dict[str, str], packages: dict[str, list[Package]]
    ) -> Iterator[Part]:
        """The files of a bundle outside images."""
        versions = {
            place: each.version for each in self.provider.components for place in each.binaries
        }
        brought = {
            place: recipe.name
            for recipe in self.provider.recipes
            for place in (
                *(f"tools/{name}" for name in recipe.tools.values()),
                *recipe.portable.values(),
            )
        }
        for name, sha256 in sums.items():
            folder = name.split("/")[0]
            if folder in _PROGRAMS:
                made_of = go_packages((bundle / name).read_bytes())
                recipe = brought.get(name) or brought.get(folder)
                made_of += packages[recipe] if recipe else []
                kind, version = ComponentType.APPLICATION, versions.get(name, "")
                yield Part(kind, name, version, f"file:{name}", made_of, sha256)
            elif folder != "images":
                yield Part(ComponentType.FILE, name, "", f"file:{name}", [], sha256)

    def _bundled(self, bundle: Path, packages: dict[str, list[Package]]) -> Iterator[Part]:
        """The images of a bundle; of what was packed, Debian's packages were recorded then."""
        store = ImageStore(bundle / "images")
        contents = Contents(store, Repositories([]))
        names = {recipe.ref: recipe.name for recipe in self.provider.recipes}
        for ref, image in store.images().items():
            recorded = packages.get(names.get(ref, ""), [])
            found = contents.packages(image)
            if recorded:
                found = [each for each in found if each.kind != "deb"]
            yield _of_image(image, [*recorded, *found])

    def _of_debian(self, packages: debian.Packages) -> list[Package]:
        """Packages of the release that the bundle is made of."""
        suite = self.provider.versions["debian"]
        distro = ("distro", f"debian-{_RELEASES.get(suite, suite)}")
        return [
            Package(
                kind="deb",
                name=name,
                version=each.version,
                group="debian",
                qualifiers=(("arch", each.architecture), distro),
                source=(each.source, each.source_version),
                hashes=(("SHA-256", each.sha256),),
            )
            for name, each in packages.items()
        ]


def _of_image(image: Image, packages: list[Package]) -> Part:
    digest = image.manifest_digest
    tag = image.ref.removeprefix(f"{image.repository}:")
    named = {"repository_url": image.repository, "tag": tag}
    purl = PackageURL("oci", None, image.repository.rpartition("/")[2], digest, named)
    sha256 = digest.removeprefix("sha256:")
    return Part(ComponentType.CONTAINER, image.repository, tag, image.ref, packages, sha256, purl)


def _pinned(path: Path) -> Iterator[Package]:
    """The packages that a file pins for this Python."""
    lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    for line in lines:
        if line[:1].isalnum():
            pinned = Requirement(line.partition(" --hash=")[0])
            if pinned.marker is None or pinned.marker.evaluate():
                version = str(pinned.specifier).removeprefix("==")
                yield Package("pypi", canonicalize_name(pinned.name), version)


def _file_name(ref: str) -> str:
    return ref.removeprefix(APPS).replace("/", "_").replace(":", "_")


def _write(path: Path, text: str) -> bool:
    """Have a file with a text; whether it had another one."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    write_whole(path, text)
    return True

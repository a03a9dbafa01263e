"""Where things lie in the cache, which all clusters and checkouts of a user share.

Whoever needs a place below the cache asks here, and so does the sweep that frees what nobody needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipway.architecture import Architecture

APPS = "apps.slipway.internal/"
"""What the references of images of apps begin with."""

BASES = "bases.slipway.internal/"
"""What those of base images begin with that come from archives and registries."""


@dataclass(frozen=True)
class MavenCache:
    """What builds of one repository keep at ``root``.

    What they write themselves is in ``own``. All else they find and cannot change.
    """

    root: Path

    @property
    def own(self) -> Path:
        """Maven's repository and Jib's layers."""
        return self.root / "own"

    @property
    def classes(self) -> Path:
        """The archives of the classes of Maven's JVM, one for each image."""
        return self.root / "classes"

    @property
    def resolved(self) -> Path:
        """The marks that all is downloaded which a set of poms needs."""
        return self.root / "resolved"


@dataclass(frozen=True)
class CacheLayout:
    """The places below the cache at ``root``, whether there is something yet or not."""

    root: Path

    @property
    def images(self) -> Path:
        """The image store with the images of apps and those that they are built on."""
        return self.root / "images"

    @property
    def foreign_images(self) -> Path:
        """The folder of image stores for nodes of another architecture than this machine's."""
        return self.root / "images-of"

    def images_of(self, architecture: str) -> Path:
        """Return the image store for nodes of an architecture."""
        own = architecture == Architecture.here()
        return self.images if own else self.foreign_images / architecture

    def image_stores(self) -> list[Path]:
        """Return all image stores that there may be."""
        return [self.images, *sorted(self.foreign_images.glob("*"))]

    @property
    def build_notes(self) -> Path:
        """The folder of notes that say which image came of what."""
        return self.root / "builds"

    def build_note(self, key: str) -> Path:
        """Return the file that says which image came of the build with this key."""
        return self.build_notes / f"{key}.json"

    @property
    def named_images(self) -> Path:
        """The folder of notes that say which images manifests and charts of an app name."""
        return self.root / "named-images"

    def named_images_note(self, key: str) -> Path:
        """Return the file that says which images what has this key names."""
        return self.named_images / f"{key}.json"

    @property
    def base_notes(self) -> Path:
        """The file that says which image each base image of a registry was."""
        return self.root / "bases.json"

    @property
    def work(self) -> Path:
        """The folder of what a build needs as long as it lasts; one that is in it still runs."""
        return self.root / "work"

    @property
    def mirrors(self) -> Path:
        """The folder of bare git mirrors, one for each URL."""
        return self.root / "git"

    def mirror(self, key: str) -> Path:
        """Return the bare mirror of the repository with this key."""
        return self.mirrors / f"{key}.git"

    @property
    def sources(self) -> Path:
        """The folder of work trees, below one folder for each repository."""
        return self.root / "source"

    def work_trees(self, key: str) -> Path:
        """Return the folder of the work trees of the repository with this key, one by commit."""
        return self.sources / key

    @property
    def buildkit(self) -> Path:
        """The state of the BuildKit daemon, which keeps itself below a size."""
        return self.root / "buildkit"

    @property
    def buildx(self) -> Path:
        """The settings of buildx, where Docker's engine builds."""
        return self.root / "buildx"

    @property
    def maven(self) -> Path:
        """The folder of what builds with Maven and Jib keep, by repository."""
        return self.root / "maven"

    @property
    def maven_extensions(self) -> Path:
        """The folder of Slipway's extensions of Maven, compiled."""
        return self.root / "maven-extensions"

    @property
    def maven_distributions(self) -> Path:
        """The folder of the Mavens that projects ask for by their wrappers."""
        return self.root / "maven-distributions"

    @property
    def certificates(self) -> Path:
        """The folder of this machine's certificates as Java reads them."""
        return self.root / "certificates"

    @property
    def bundles(self) -> Path:
        """The folder of bundles, each named by its key."""
        return self.root / "bundle"

    @property
    def archives(self) -> Path:
        """The folder of what is known of archives of bundles, and was downloaded of them."""
        return self.root / "archives"

    @property
    def downloads(self) -> Path:
        """The folder of what has come of upstream's files and images, each by its sha256."""
        return self.root / "downloads"

    @property
    def bundle_lock(self) -> Path:
        """The file that whoever makes or removes bundles locks."""
        return self.bundles / "lock"

    @property
    def bundle_parts(self) -> Path:
        """The folder of finished parts, of which bundles are made."""
        return self.bundles / "parts"

    @property
    def go_build(self) -> Path:
        """The cache of the Go compiler, which removes by itself what it has not used for days."""
        return self.root / "go-build"

    def go_toolchain(self, version: str) -> Path:
        """Return the folder of the Go toolchain of this version."""
        return self.root / f"go-{version}"

    def go_toolchains(self) -> list[Path]:
        """Return the folders of all Go toolchains that are there, finished or not."""
        return sorted(self.root.glob("go-[0-9]*"))

    @property
    def claims(self) -> Path:
        """The folder of what each cluster claims of the cache."""
        return self.root / "clusters"

    def run_lock(self, cluster: str) -> Path:
        """Return the file that a run locks for as long as it changes a cluster."""
        return self.claims / f"{cluster}.lock"

    @property
    def claims_lock(self) -> Path:
        """The file that whoever changes claims, or sweeps, locks."""
        return self.claims / "lock"

    def claims_of(self, cluster: str) -> Path:
        """Return the file of what a cluster claims."""
        return self.claims / f"{cluster}.json"

    @property
    def engine(self) -> Path:
        """The folder in which the start of the container engine is remembered, with its log."""
        return self.root / "engine"

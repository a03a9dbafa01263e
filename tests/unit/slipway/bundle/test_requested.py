"""Images that are made when they are asked for: over one of the bundle, once, and checked."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from slipway.architecture import Architecture
from slipway.bundle import manifest
from slipway.bundle.debian import Archive, Package, Packages
from slipway.bundle.requested import Requested
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.control_node import tools
from slipway.errors import SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree

RECIPES = """
maven:
  ref: x.test/maven:21
  packages: [maven]
maven_17:
  ref: x.test/maven:17
  over: maven
  suite: bookworm
  packages: [jdk-17]
  below: [usr/lib/jvm/17]
  env: {JAVA_HOME: /usr/lib/jvm/17}
"""

FILES = {"usr/lib/jvm/17/java": b"java 17", "usr/lib/libc.so": b"of the release before"}

REF = "x.test/maven:17"


class Cellar:
    """A checkout with a bundle, and an archive of Debian's in which a package is."""

    def __init__(self, root: Path) -> None:
        (root / "images").mkdir(parents=True)
        (root / "images" / "images.yml").write_text(RECIPES)
        cache = CacheLayout(root / "cache")
        self.lock = root / "images" / "debian-requested.lock"
        self.bundle = cache.bundles / "0123"
        self.unpacked: list[tuple[str, str]] = []
        self.package = Package("17.0.1", "amd64", "jdk-17", "17.0.1", "ab")
        self.said: list[str] = []
        self.provider = SourceProvider(root, {"debian": "trixie"}, cache, Architecture.AMD64)
        below = layer_from_tree({"usr/bin/mvn": b"maven"})
        store = ImageStore(self.bundle / "images")
        store.add_image(
            "x.test/maven:21", [below], ImageConfig(env={"JAVA_HOME": "/usr/lib/jvm/21"})
        )
        manifest.write(self.bundle, {})

    def make_rootfs(
        self, archive: Archive, _variant: str, packages: list[str], target: Path
    ) -> Packages:
        """As mmdebstrap would."""
        self.unpacked.append((archive.suite, archive.keys.name))
        with tarfile.open(target, "w") as tar:
            for name, content in FILES.items():
                path = target.parent / "file"
                path.write_bytes(content)
                tar.add(path, name)
                path.unlink()
        return dict.fromkeys((*packages, "libc6"), self.package)

    def have(self) -> Path:
        """Ask for the image."""
        return Requested(self.provider, self.bundle).have(REF, self.said.append)

    def files(self) -> Mapping[str, bytes]:
        """What the image has."""
        store = ImageStore(self.have() / "images")
        found = {}
        (image,) = store.require([REF])
        for layer in image.layers:
            with store.open_layer(layer) as tar:
                for member in tar:
                    content = tar.extractfile(member)
                    assert content
                    found[member.name] = content.read()
        return found


@pytest.fixture
def cellar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cellar:
    made = Cellar(tmp_path)
    monkeypatch.setattr("slipway.bundle.debian.make_rootfs", made.make_rootfs)
    monkeypatch.setattr(tools, "have", lambda names, say: [])
    return made


def test_it_is_over_one_of_the_bundle_and_has_nothing_else_of_its_release(cellar: Cellar) -> None:
    assert cellar.files() == {"usr/bin/mvn": b"maven", "usr/lib/jvm/17/java": b"java 17"}
    assert cellar.unpacked == [("bookworm", "debian-bookworm.asc")]


def test_it_is_made_once_and_again_only_with_the_next_bundle(cellar: Cellar) -> None:
    assert cellar.have() == cellar.have()
    assert cellar.have().parent == cellar.bundle / "requested"
    cellar.bundle.rename(cellar.bundle.with_name("4567"))
    cellar.bundle = cellar.bundle.with_name("4567")
    assert REF in ImageStore(cellar.have() / "images").images()
    assert len(cellar.unpacked) == 1


def test_the_bundle_is_as_it_was(cellar: Cellar) -> None:
    cellar.have()
    assert manifest.damaged(cellar.bundle) == []
    assert [*ImageStore(cellar.bundle / "images").images()] == ["x.test/maven:21"]
    assert [recipe.name for recipe in cellar.provider.recipes] == ["maven"]


def test_no_byte_of_the_image_that_it_is_over_is_there_twice(cellar: Cellar) -> None:
    images = {
        image.ref: image.layers
        for folder in (cellar.bundle, cellar.have())
        for image in ImageStore(folder / "images").images().values()
    }
    own, other = images["x.test/maven:21"][0], images[REF][0]
    assert own == other
    blob = f"images/blobs/sha256/{own.digest[7:]}"
    assert (cellar.bundle / blob).samefile(cellar.have() / blob)


def test_a_package_with_another_content_than_is_recorded_is_refused(cellar: Cellar) -> None:
    cellar.lock.write_text("jdk-17 17.0.1 amd64 cd\n")
    with pytest.raises(SlipwayError, match=r"jdk-17 17\.0\.1 has the sha256 ab, and had cd"):
        cellar.have()
    assert not (cellar.bundle / "requested").exists()


def test_another_version_than_is_recorded_is_told(cellar: Cellar) -> None:
    cellar.lock.write_text("jdk-17 17.0.0 amd64 cd\n")
    cellar.have()
    (told,) = [line for line in cellar.said if "not as in" in line]
    assert "debian-requested.lock: jdk-17 17.0.0 -> 17.0.1" in told


def test_what_nobody_knows_how_to_make_is_told(cellar: Cellar) -> None:
    with pytest.raises(SlipwayError, match=r"x\.test/maven:8: is no image that can be asked for"):
        Requested(cellar.provider, cellar.bundle).have("x.test/maven:8", print)


def test_with_another_lock_it_is_made_anew_in_place_of_the_one_before(cellar: Cellar) -> None:
    before = cellar.have()
    (before.parent / f"{before.name}.unfinished").mkdir()
    cellar.lock.write_text("jdk-17 17.0.1 amd64 ab\n")
    after = cellar.have()
    assert after != before
    assert [*after.parent.iterdir()] == [after]
    assert len(cellar.unpacked) == 2

"""Which packages an image has: those of its layers, put on one another."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Mapping
from hashlib import sha1
from pathlib import Path
from typing import IO

import pytest

from slipway.errors import SlipwayError
from slipway.oci import Image, ImageConfig, ImageStore, layer_from_tree
from slipway.oci.layers import Layer
from slipway.sbom.images import Contents
from slipway.sbom.maven import Repositories
from slipway.sbom.packages import Package
from tests.support.sbom_samples import APK_INSTALLED, DPKG_STATUS, go_program, jar, pom_properties

REF = "apps.slipway.internal/web:1"

Files = Mapping[str, str | bytes]
"""Files by their places in an image."""

DEBIAN: Files = {
    "/var/lib/dpkg/status": DPKG_STATUS,
    "/usr/lib/os-release": 'PRETTY_NAME="Debian 13"\nID=debian\nVERSION_ID="13"\n',
}
REQUESTS: Files = {"/app/requests-2.0.dist-info/METADATA": "Name: requests\nVersion: 2.0\n"}
OTHER: Files = {"/app/other-1.0.dist-info/METADATA": "Name: other\nVersion: 1.0\n"}


def layer(files: Files) -> Layer:
    """A layer of files."""
    return layer_from_tree(
        {place: text.encode() if isinstance(text, str) else text for place, text in files.items()}
    )


def raw(content: bytes) -> Layer:
    """A layer of these very bytes."""

    def write(out: IO[bytes]) -> None:
        out.write(content)

    return Layer(write)


class Images:
    """A store, and what is in its images."""

    def __init__(self, root: Path) -> None:
        self.store = ImageStore(root)
        self.contents = Contents(self.store, Repositories([]))

    def of(self, *layers: Layer) -> Image:
        """An image of layers."""
        return self.store.add_image(REF, layers, ImageConfig())

    def names(self, *layers: Files) -> list[str]:
        """The names of the packages of an image of these files."""
        image = self.of(*map(layer, layers))
        return [package.name for package in self.contents.packages(image)]


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path / "images")


def test_packages_of_all_layers_are_found(images: Images) -> None:
    assert images.names(DEBIAN, {}, {**REQUESTS, **OTHER}) == [
        "bash",
        "libssl3t64",
        "other",
        "requests",
    ]


def test_a_distribution_s_packages_say_which_release_they_are_of(images: Images) -> None:
    (bash, _libssl) = images.contents.packages(images.of(layer(DEBIAN)))
    assert bash.purl.to_string() == "pkg:deb/debian/bash@5.2.37-2?arch=amd64&distro=debian-13"
    alpine = {
        "/lib/apk/db/installed": APK_INSTALLED,
        "/etc/os-release": "ID=alpine\nVERSION_ID=3.20.3\n",
    }
    (_libcrypto, musl) = images.contents.packages(images.of(layer(alpine)))
    assert musl.purl.to_string() == "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.3"


def test_without_a_release_it_is_the_usual_distribution(images: Images) -> None:
    status = {"/var/lib/dpkg/status": DPKG_STATUS}
    (bash, _libssl) = images.contents.packages(images.of(layer(status)))
    assert bash.purl.to_string() == "pkg:deb/debian/bash@5.2.37-2?arch=amd64&distro=debian"


@pytest.mark.parametrize(
    ("above", "left"),
    [
        ({"/app/.wh.requests-2.0.dist-info": ""}, ["other"]),
        ({"/app/requests-2.0.dist-info/.wh.METADATA": ""}, ["other"]),
        ({"/.wh.app": ""}, []),
        ({"/app/.wh..wh..opq": ""}, []),
        ({"/.wh..wh..opq": ""}, []),
        (
            {"/app/.wh..wh..opq": "", "/app/new-1.dist-info/METADATA": "Name: new\nVersion: 1\n"},
            ["new"],
        ),
        (
            {"/app/requests-2.0.dist-info/METADATA": "Name: requests\nVersion: 3.0\n"},
            ["other", "requests"],
        ),
        ({"/app/requests-2.0.dist-info/METADATA": "empty"}, ["other"]),
        ({"/app/.wh.requests": "", "/ap/.wh..wh..opq": ""}, ["other", "requests"]),
    ],
)
def test_what_a_layer_removes_or_replaces_is_gone(
    images: Images, above: Files, left: list[str]
) -> None:
    assert images.names({**REQUESTS, **OTHER}, above) == left


def test_what_debian_s_packages_brought_is_debian_s(images: Images) -> None:
    program = go_program("go1.26.6", ["dep\texample.com/a\tv1.0.0"])
    brought: Files = {
        "/usr/lib/python3/dist-packages/six-1.0.dist-info/METADATA": "Name: six\nVersion: 1.0\n",
        "/usr/share/java/slf4j.jar": jar(pom_properties("org.slf4j", "slf4j-api", "2.0.16")),
    }
    owned = {"/var/lib/dpkg/info/some.list": "\n".join(["/.", *brought, "/usr/bin/tool"]) + "\n"}
    found = images.names({**DEBIAN, **brought, **owned}, {**REQUESTS, "/usr/bin/tool": program})
    assert found == ["bash", "libssl3t64", "requests"]


def test_of_a_program_of_go_that_debian_brought_the_modules_count(
    images: Images, tmp_path: Path
) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(go_program("go1.26.6", ["dep\texample.com/a\tv1.0.0"]))
    tool.chmod(0o755)
    owned = {"/var/lib/dpkg/info/some.list": b"/usr/bin/tool\n"}
    image = images.of(layer_from_tree({"/usr/bin/tool": tool, **owned}))
    names = [package.name for package in images.contents.packages(image)]
    assert names == ["example.com/a", "stdlib"]


def test_a_large_program_is_read_as_well(images: Images, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(go_program("go1.26.6", [], before=bytes(20 << 20)))
    tool.chmod(0o755)
    image = images.of(layer_from_tree({"/usr/bin/tool": tool}))
    assert [package.name for package in images.contents.packages(image)] == ["stdlib"]


def test_a_package_that_two_files_say_is_one(images: Images) -> None:
    again = {f"/b{place}": text for place, text in REQUESTS.items()}
    assert images.names(REQUESTS, again) == ["requests"]


def test_a_link_says_nothing_and_hides_what_was_there(images: Images, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    above = layer_from_tree({"/app/requests-2.0.dist-info/METADATA": tmp_path / "link"})
    image = images.of(layer(REQUESTS), above)
    assert images.contents.packages(image) == []


def test_what_is_no_name_of_a_package_is_left_out(images: Images) -> None:
    forged = {"/a-1.dist-info/METADATA": "Name: a\x1b[2J\nVersion: 1\n"}
    assert images.names({**forged, **REQUESTS}) == ["requests"]


def test_a_release_that_is_no_text_for_a_package_is_not_said(images: Images) -> None:
    for said in ("ID='two words'\n", "ID='open\n", f"ID={'x' * 1000}\n", "ID\n"):
        files = {"/var/lib/dpkg/status": DPKG_STATUS, "/etc/os-release": said}
        assert images.names(files) == ["bash", "libssl3t64"]


def test_a_layer_is_read_once_for_all_images(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = images.of(layer(DEBIAN), layer(REQUESTS))
    assert len(images.contents.packages(image)) == 3
    other = images.store.add_image("apps.slipway.internal/web:2", [layer(DEBIAN)], ImageConfig())
    monkeypatch.setattr(images.store, "open_layer", None)
    assert len(images.contents.packages(other)) == 2


def test_an_image_with_a_layer_that_is_no_tar_cannot_be_read(images: Images) -> None:
    image = images.of(layer(REQUESTS), raw(b"no tar" * 1000))
    with pytest.raises(SlipwayError, match=r"sha256:\w+ cannot be read as a layer"):
        images.contents.packages(image)


def test_an_image_that_lost_a_layer_cannot_be_read(images: Images) -> None:
    image = images.of(layer(REQUESTS))
    (images.store.root / "blobs" / "sha256" / image.layers[0].digest[7:]).unlink()
    with pytest.raises(SlipwayError, match="cannot be read as a layer"):
        images.contents.packages(image)


def test_archives_of_java_have_their_group_by_what_maven_downloaded(
    images: Images, tmp_path: Path
) -> None:
    content = jar({"a": "b"})
    folder = tmp_path / "repository" / "org" / "spring" / "core" / "5.3"
    folder.mkdir(parents=True)
    (folder / "core-5.3.jar.sha1").write_text(sha1(content).hexdigest())
    contents = Contents(images.store, Repositories([tmp_path / "repository"]))
    image = images.of(layer({"/app/libs/core-5.3.jar": content}))
    assert contents.packages(image) == [Package("maven", "core", "5.3", "org.spring")]


def test_compressed_layers_are_read_too(images: Images, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "layer.tar", "w") as tar:
        path = tmp_path / "METADATA"
        path.write_text("Name: requests\nVersion: 2.0\n")
        tar.add(path, "app/requests-2.0.dist-info/METADATA")
    packed = gzip.compress((tmp_path / "layer.tar").read_bytes())
    image = images.of(raw(packed))
    assert [each.name for each in images.contents.packages(image)] == ["requests"]

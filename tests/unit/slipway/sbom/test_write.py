"""Which bills of materials there are, and what each is about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from slipway.architecture import Architecture
from slipway.bundle import manifest
from slipway.bundle.go import Component
from slipway.bundle.recipes import Recipe
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError
from slipway.oci import ImageConfig, ImageStore, Layer, layer_from_tree
from slipway.sbom.write import Bills
from tests.support.sbom_samples import DPKG_STATUS, go_program

APP = "apps.slipway.internal/web-main/web:1a2b"
OTHER = "apps.slipway.internal/web-loud/web:3c4d"
MACHINE = "registry.example/machine:trixie"

(FOREIGN,) = {*Architecture} - {Architecture.here()}

NFTABLES = {
    "version": "1.1.3-1",
    "architecture": "amd64",
    "source": "nftables",
    "source_version": "1.1.3-1",
    "sha256": "ab" * 32,
}
PACKAGES = {
    "filter": {"nftables": NFTABLES},
    "builder": {"docker-buildx": {**NFTABLES, "source": "docker-buildx"}},
    "machine": {"systemd": {**NFTABLES, "source": "systemd"}},
}
REQUIREMENTS = """# Made
requests==2.0 \\
    --hash=sha256:0123 \\
    --hash=sha256:4567
    # via docker
tomli==1.0 ; python_full_version < '3.0' \\
    --hash=sha256:89ab
"""


def layer_of(package: str) -> Layer:
    """A layer with a package of Python's."""
    text = f"Name: {package}\nVersion: 1.0\n".encode()
    return layer_from_tree({f"/{package}-1.0.dist-info/METADATA": text})


class Machine:
    """A checkout, a bundle, and images of apps."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "sbom"
        self.bundle = root / "bundle"
        self.foreign = root / "foreign"
        self.cache = CacheLayout(root / "cache")
        self.store = ImageStore(self.cache.images)
        self.said: list[str] = []
        (root / "requirements.txt").write_text(REQUIREMENTS)
        self.add(APP, "requests")
        self.add("bases.slipway.internal/python:3", "base")

    def add(self, ref: str, package: str) -> None:
        """Store an image with a package of Python's."""
        self.store.add_image(ref, [layer_of(package)], ImageConfig())

    def make_bundle(self, packages: Mapping[str, object] = PACKAGES) -> None:
        """Have a bundle of two programs, an image, and nft with a library, made of packages."""
        program = go_program("go1.26.6", ["dep\texample.com/a\tv1.0.0"])
        for name, content in {
            "bin/tool": program,
            "tools/docker-buildx": program,
            "nft/nft": b"program",
            "nft/libnft.so.1": b"library",
            "manifests/metallb.yaml": b"kind: Namespace",
        }.items():
            (self.bundle / name).parent.mkdir(parents=True, exist_ok=True)
            (self.bundle / name).write_bytes(content)
        tool = self.root / "tool"
        tool.write_bytes(program)
        tool.chmod(0o755)
        status: dict[str, bytes | Path] = {
            "/var/lib/dpkg/status": DPKG_STATUS.encode(),
            "/usr/bin/tool": tool,
        }
        images = ImageStore(self.bundle / "images")
        images.add_image(MACHINE, [layer_from_tree(status)], ImageConfig())
        manifest.write(self.bundle, {"packages": packages})

    def write(self) -> list[str]:
        """Write the documents; returns those that changed."""
        provider = SimpleNamespace(
            project=self.root,
            cache=self.cache,
            versions={"debian": "trixie"},
            components=[Component("tool", self.root, "1.2.3", "1.26", {"bin/tool": "a"})],
            recipes=[
                Recipe("machine", self.root, MACHINE, packages=["systemd"]),
                Recipe(
                    "filter", self.root, packages=["nftables"], portable={"usr/sbin/nft": "nft"}
                ),
                Recipe(
                    "builder",
                    self.root,
                    packages=["docker-buildx"],
                    tools={"usr/libexec/docker-buildx": "docker-buildx"},
                ),
            ],
        )
        bundles = {Architecture.here(): self.bundle, FOREIGN: self.foreign}
        bills = Bills(cast(SourceProvider, provider), bundles, "1.0.0")
        changed = bills.write(self.folder, self.said.append)
        return [path.relative_to(self.folder).as_posix() for path in changed]

    def read(self, name: str) -> dict[str, Any]:
        """A document."""
        found: dict[str, Any] = json.loads((self.folder / name).read_bytes())
        return found

    def made_of(self, name: str) -> dict[str, set[str]]:
        """The URLs, without qualifiers, of what each component of a document is made of."""
        return {
            each["ref"]: {one.partition("?")[0] for one in each.get("dependsOn", ())}
            for each in self.read(name)["dependencies"]
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_there_is_one_of_slipway_and_one_of_each_image_of_an_app(machine: Machine) -> None:
    machine.add(OTHER, "idna")
    assert machine.write() == [
        "apps/web-loud_web_3c4d.cdx.json",
        "apps/web-main_web_1a2b.cdx.json",
        "slipway.cdx.json",
    ]
    assert machine.said == ["there is no bundle yet: make up makes it"]


def test_that_of_an_image_has_its_name_its_digest_and_its_packages(machine: Machine) -> None:
    machine.write()
    found = machine.read("apps/web-main_web_1a2b.cdx.json")
    whole = found["metadata"]["component"]
    assert (whole["name"], whole["version"]) == ("apps.slipway.internal/web-main/web", "1a2b")
    digest = machine.store.require([APP])[0].manifest_digest
    assert whole["hashes"] == [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}]
    assert whole["purl"].startswith(f"pkg:oci/web@{digest}?")
    assert machine.made_of("apps/web-main_web_1a2b.cdx.json")[APP] == {"pkg:pypi/requests@1.0"}


def test_an_image_for_other_machines_has_one_of_its_own(machine: Machine) -> None:
    of_others = ImageStore(machine.cache.images_of(FOREIGN))
    of_others.add_image(APP, [layer_of("idna")], ImageConfig())
    name = f"apps/web-main_web_1a2b-{FOREIGN}.cdx.json"
    assert machine.write() == [name, "apps/web-main_web_1a2b.cdx.json", "slipway.cdx.json"]
    assert machine.made_of(name)[APP] == {"pkg:pypi/idna@1.0"}
    assert machine.made_of("apps/web-main_web_1a2b.cdx.json")[APP] == {"pkg:pypi/requests@1.0"}
    of_others.remove(APP)
    assert machine.write() == [name]


def test_that_of_slipway_has_what_this_python_needs(machine: Machine) -> None:
    machine.write()
    assert machine.made_of("slipway.cdx.json")["slipway"] == {"pkg:pypi/requests@2.0"}


def test_that_of_the_bundle_has_its_files_and_images_with_what_they_are_made_of(
    machine: Machine,
) -> None:
    machine.make_bundle()
    machine.write()
    go = {"pkg:golang/stdlib@1.26.6", "pkg:golang/example.com/a@v1.0.0"}
    made_of = machine.made_of("bundle.cdx.json")
    assert made_of["file:bin/tool"] == go
    assert made_of["file:tools/docker-buildx"] == {*go, "pkg:deb/debian/docker-buildx@1.1.3-1"}
    assert made_of["file:nft/libnft.so.1"] == {"pkg:deb/debian/nftables@1.1.3-1"}
    # Of Debian's packages, the record of the bundle counts, which has their hashes.
    assert made_of[MACHINE] == {*go, "pkg:deb/debian/systemd@1.1.3-1"}
    assert made_of["file:manifests/metallb.yaml"] == set()
    components = {each["bom-ref"]: each for each in machine.read("bundle.cdx.json")["components"]}
    assert components["file:bin/tool"]["version"] == "1.2.3"
    (tool,) = components["file:bin/tool"]["hashes"]
    assert tool["content"] == manifest.sha256_of(machine.bundle / "bin" / "tool")
    (systemd,) = (each for ref, each in components.items() if "/systemd@" in ref)
    assert systemd["purl"].endswith("?arch=amd64&distro=debian-13")
    assert systemd["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert not any(ref.startswith("file:images/") for ref in components)


def test_of_an_image_that_was_not_packed_here_its_own_list_of_packages_counts(
    machine: Machine,
) -> None:
    machine.make_bundle({name: each for name, each in PACKAGES.items() if name != "machine"})
    machine.write()
    assert machine.made_of("bundle.cdx.json")[MACHINE] >= {
        "pkg:deb/debian/bash@5.2.37-2",
        "pkg:deb/debian/libssl3t64@3.5.1-1%2Bb2",
    }


def test_that_of_a_bundle_for_other_machines_is_beside_it_for_as_long_as_that_is_there(
    machine: Machine,
) -> None:
    machine.make_bundle()
    shutil.copytree(machine.bundle, machine.foreign)
    (machine.foreign / "bin/tool").write_bytes(go_program("go1.26.7", []))
    name = f"bundle-{FOREIGN}.cdx.json"
    assert name in machine.write()
    assert machine.made_of(name)["file:bin/tool"] == {"pkg:golang/stdlib@1.26.7"}
    assert "pkg:golang/stdlib@1.26.6" in machine.made_of("bundle.cdx.json")["file:bin/tool"]
    shutil.rmtree(machine.foreign)
    assert machine.write() == [name]
    assert not (machine.folder / name).exists()


def test_what_has_not_changed_is_not_written_again(machine: Machine) -> None:
    machine.make_bundle()
    assert len(machine.write()) == 3
    assert machine.write() == []


def test_that_of_an_image_that_is_gone_goes_and_nothing_else(machine: Machine) -> None:
    machine.add(OTHER, "idna")
    machine.write()
    (machine.folder / "apps" / "notes.txt").touch()
    machine.store.remove(OTHER)
    assert machine.write() == ["apps/web-loud_web_3c4d.cdx.json"]
    left = sorted(path.name for path in (machine.folder / "apps").iterdir())
    assert left == ["notes.txt", "web-main_web_1a2b.cdx.json"]


def test_an_image_that_cannot_be_read_keeps_no_other_from_being_described(
    machine: Machine,
) -> None:
    machine.add(OTHER, "idna")
    (broken,) = machine.store.require([OTHER])
    layer = machine.cache.images / "blobs" / "sha256" / broken.layers[0].digest[7:]
    layer.write_bytes(b"\1" * layer.stat().st_size)
    with pytest.raises(SlipwayError) as caught:
        machine.write()
    assert [problem.where for problem in caught.value.problems] == [OTHER]
    assert (machine.folder / "apps" / "web-main_web_1a2b.cdx.json").exists()
    assert (machine.folder / "slipway.cdx.json").exists()

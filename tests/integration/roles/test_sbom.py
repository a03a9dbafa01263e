"""``make sbom`` and ``make scan`` as they are called: the playbooks, for a cache of their own."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.bundle.provider import bundle_path
from slipway.cache.layout import CacheLayout
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.bundles import bundle
from tests.support.playbooks import play
from tests.support.real_bundle import source_provider

REF = "apps.slipway.internal/web:main-0123456789ab"


class Desk:
    """A cache with a bundle and an image of an app, and a folder for documents."""

    def __init__(self, root: Path) -> None:
        self.root = root
        cache = CacheLayout(root / "cache")
        provider = replace(source_provider(), cache=cache)
        bundle(bundle_path(provider, cache), {"bin/kubelet": b"a program"})
        layer = layer_from_tree({"app/web": b"a program"})
        ImageStore(cache.images).add_image(REF, [layer], ImageConfig())

    def play(self, name: str, *databases: Path) -> subprocess.CompletedProcess[str]:
        """Run a playbook as the Makefile does."""
        variables = {
            "slipway_cache_dir": str(self.root / "cache"),
            "sbom_dir": str(self.root / "sbom"),
            "sbom_databases": [*map(str, databases)],
        }
        return play(
            *("--inventory", "inventory/local", f"--extra-vars={json.dumps(variables)}"),
            f"playbooks/{name}.yml",
            SLIPWAY_BUNDLE="",
        )

    def document(self, name: str) -> Any:
        """A document of CycloneDX."""
        return json.loads((self.root / "sbom" / f"{name}.cdx.json").read_text())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_there_is_a_bill_of_the_bundle_of_slipway_and_of_each_image(desk: Desk) -> None:
    done = desk.play("sbom")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 bills of materials" in done.stdout
    parts = [each["name"] for each in desk.document("bundle")["components"]]
    assert "bin/kubelet" in parts
    assert "ansible-core" in [each["name"] for each in desk.document("slipway")["components"]]
    image = desk.document(f"apps/{REF.partition('/')[2].replace(':', '_')}")
    assert image["metadata"]["component"]["name"] == "apps.slipway.internal/web"
    again = desk.play("sbom")
    assert "0 of them changed" in again.stdout
    assert again.returncode == 0


@pytest.mark.parametrize(("name", "faults"), [("ansible-core", 1), ("of-nobody", 0)])
def test_a_known_fault_ends_the_scan_with_a_line_for_it(desk: Desk, name: str, faults: int) -> None:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    affected = [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}]
    database = desk.root / "osv.json"
    database.write_text(json.dumps({"id": "PYSEC-1", "affected": affected}))
    done = desk.play("scan", database)
    assert bool(done.returncode) == bool(faults), done.stdout + done.stderr
    assert done.stdout.count("PYSEC-1: ansible-core ") == faults, done.stdout
    assert ("no known faults" in done.stdout.splitlines()) == (not faults)

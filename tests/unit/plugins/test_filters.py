"""Filters, called and as templates use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import yaml

from plugins.filter import bundle_file, image_digest
from plugins.filter.image_ref import image_ref, node_image_refs
from slipway.oci import ImageConfig, ImageStore, layer_from_tree

PROJECT = Path(__file__).parents[3]
REF = "apps.slipway.internal/greeter:main"


def rendered(expression: str, **names: Any) -> Any:
    """The value of an expression."""
    environment = jinja2.Environment(autoescape=False)
    for module in (bundle_file, image_digest):
        environment.filters.update(module.FilterModule().filters())
    return environment.compile_expression(expression)(**names)


def test_files_of_the_bundle_become_entries_for_node_config() -> None:
    assert rendered("['kubeadm'] | map('bundle_file', '/b', 'bin', '/usr/local/bin') | list") == [
        {"path": "/usr/local/bin/kubeadm", "source": "/b/bin/kubeadm", "mode": "0755"}
    ]


def test_an_image_s_digest_is_that_of_its_manifest(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    image = store.add_image(REF, [layer_from_tree({"/a": b"a"})], ImageConfig())
    assert image.manifest_digest.startswith("sha256:")
    assert rendered(f"'{REF}' | image_digest(store)", store=str(tmp_path)) == image.manifest_digest


def test_an_image_that_is_not_in_the_store_has_no_digest(tmp_path: Path) -> None:
    assert rendered(f"'{REF}' | image_digest(store)", store=str(tmp_path / "none")) == ""
    assert list(tmp_path.iterdir()) == []


def test_references_are_those_of_the_table_of_images() -> None:
    versions = yaml.safe_load((PROJECT / "group_vars/all/versions.yml").read_text())
    lock = versions["slipway_versions"]
    pause, etcd = image_ref("pause", lock), image_ref("etcd", lock)
    assert pause == f"registry.k8s.io/pause:{lock['pause']}"
    assert pause in node_image_refs(lock, control_plane=False)
    assert etcd not in node_image_refs(lock, control_plane=False)
    assert {pause, etcd} <= {*node_image_refs(lock, control_plane=True)}
    assert image_ref("node", lock) not in node_image_refs(lock, control_plane=True)

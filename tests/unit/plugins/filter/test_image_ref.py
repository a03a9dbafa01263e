"""References of images, by the lock of versions."""

from __future__ import annotations

from pathlib import Path

import yaml

from plugins.filter.image_ref import image_ref, node_image_refs

PROJECT = Path(__file__).parents[4]


def test_references_are_those_of_the_table_of_images() -> None:
    versions = yaml.safe_load((PROJECT / "group_vars/all/versions.yml").read_text())
    lock = versions["slipway_versions"]
    pause, etcd = image_ref("pause", lock), image_ref("etcd", lock)
    assert pause == f"registry.k8s.io/pause:{lock['pause']}"
    assert pause in node_image_refs(lock, control_plane=False)
    assert etcd not in node_image_refs(lock, control_plane=False)
    assert {pause, etcd} <= {*node_image_refs(lock, control_plane=True)}
    assert image_ref("node", lock) not in node_image_refs(lock, control_plane=True)

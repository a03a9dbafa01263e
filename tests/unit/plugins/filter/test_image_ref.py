"""References of images, by the lock of versions."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from plugins.filter.image_ref import image_ref, maven_image_refs, node_image_refs
from slipway.apps.app import JAVA
from slipway.oci import ImageConfig, ImageStore
from tests.support.checkout import PROJECT, VERSIONS


def test_references_are_those_of_the_table_of_images() -> None:
    versions = yaml.safe_load((PROJECT / "group_vars/all/versions.yml").read_text())
    lock = versions["slipway_versions"]
    pause, etcd = image_ref("pause", lock), image_ref("etcd", lock)
    assert pause == f"registry.k8s.io/pause:{lock['pause']}"
    assert pause in node_image_refs(lock, control_plane=False)
    assert etcd not in node_image_refs(lock, control_plane=False)
    assert {pause, etcd} <= {*node_image_refs(lock, control_plane=True)}
    assert image_ref("node", lock) not in node_image_refs(lock, control_plane=True)


def test_an_image_that_only_upstream_has_is_on_nodes_if_it_is_in_their_bundle(
    tmp_path: Path,
) -> None:
    ref = image_ref("nginx_inc_ingress", VERSIONS)
    bundle = str(tmp_path)
    assert ref not in node_image_refs(VERSIONS, control_plane=True)
    assert ref not in node_image_refs(VERSIONS, control_plane=True, bundle=bundle)
    ImageStore(tmp_path / "images").add_image(ref, [], ImageConfig())
    assert ref in node_image_refs(VERSIONS, control_plane=True, bundle=bundle)


def test_of_each_jdk_that_apps_may_ask_for_there_is_an_image() -> None:
    versions = yaml.safe_load((PROJECT / "group_vars/all/versions.yml").read_text())
    lock = versions["slipway_versions"]
    asked = json.loads((PROJECT / "apps.schema.json").read_text())["definitions"]["jib"]
    java = asked["properties"]["java"]
    refs = maven_image_refs(lock)
    assert [*refs] == [str(each) for each in java["enum"]]
    assert refs[str(java["default"])] == image_ref("maven", lock)
    assert java["default"] == JAVA == int(lock["jre"])
    assert not {*refs.values()} & {*node_image_refs(lock, control_plane=True)}

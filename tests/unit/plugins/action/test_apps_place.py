"""The action that asks the cluster which nodes need which images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action.apps_place import ActionModule
from slipway.apps.app import Environment, RolledBack, save
from slipway.architecture import Architecture
from slipway.cache.layout import CacheLayout
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.app_cluster import FakeApi
from tests.support.apps import built, planned
from tests.support.fake_ansible import action
from tests.support.workloads import FAILED, ref, replica_set

SSD = {"disk": "ssd"}


@pytest.fixture
def arguments(tmp_path: Path, kubeconfig: Path, api: FakeApi) -> dict[str, Any]:
    """A cluster with two nodes, whose pods on the faster one run version 2 of 3."""
    store = ImageStore(tmp_path / "images")
    for version in (2, 3):
        layers = [layer_from_tree({"/app": bytes(version * 1000)})]
        store.add_image(ref(version), layers, ImageConfig())
    for name, labels in (("fast", SSD), ("slow", {})):
        metadata = {"name": name, "labels": labels}
        api.put("nodes", {"kind": "Node", "metadata": metadata, "spec": {}, "status": {}})
    serving = replica_set(2, 2, replicas=1)
    serving["spec"]["template"]["spec"]["nodeSelector"] = SSD
    api.put("replicasets", serving)
    return {"kubeconfig": str(kubeconfig), "cache": str(tmp_path)}


def placed(arguments: dict[str, Any], app: Environment, **mode: bool) -> dict[str, Any]:
    """What the action says of one app."""
    apps = save([app], Path(arguments["cache"]))
    result: dict[str, Any] = action(ActionModule, {**arguments, "apps": apps}, **mode).run()
    return result


def test_what_pods_have_now_is_needed_where_they_may_run(arguments: dict[str, Any]) -> None:
    assert placed(arguments, built(image=ref(3)))["images"] == {
        "fast": [ref(2), ref(3)],
        "slow": [ref(3)],
    }
    failed = placed(arguments, planned(failed=FAILED))
    assert failed["images"] == {"fast": [ref(2)], "slow": []}
    assert placed(arguments, built(image=ref(3), id="other"))["images"]["fast"] == [ref(3)]


def test_what_pods_have_now_is_loaded_onto_nodes_that_there_is_such_an_image_for(
    arguments: dict[str, Any], api: FakeApi, tmp_path: Path
) -> None:
    (other,) = {*Architecture} - {Architecture.here()}
    labels = {**SSD, "kubernetes.io/arch": other.value}
    metadata = {"name": "other", "labels": labels}
    api.put("nodes", {"kind": "Node", "metadata": metadata, "spec": {}, "status": {}})
    assert placed(arguments, planned())["images"] == {"fast": [ref(2)], "slow": [], "other": []}
    store = ImageStore(CacheLayout(tmp_path).images_of(other))
    store.add_image(ref(2), [layer_from_tree({"/app": b"2"})], ImageConfig(architecture=other))
    assert placed(arguments, planned())["images"]["other"] == [ref(2)]


def test_what_is_rolled_back_is_needed_where_that_version_may_run(
    arguments: dict[str, Any],
) -> None:
    app = built()
    back = RolledBack(
        id=app.id,
        name=app.name,
        namespace=app.namespace,
        git_branch=app.git_branch,
        image=ref(3),
        node_selector=SSD,
    )
    assert placed(arguments, back)["images"] == {"fast": [ref(2), ref(3)], "slow": []}


def test_what_pods_have_but_the_store_lacks_cannot_be_loaded(
    arguments: dict[str, Any], api: FakeApi
) -> None:
    api.put("replicasets", replica_set(7, 7, replicas=1))
    assert placed(arguments, built(image=ref(3)))["images"]["slow"] == [ref(3)]


def test_before_there_is_a_cluster_a_check_has_no_nodes(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    arguments["kubeconfig"] = str(tmp_path / "none")
    assert placed(arguments, planned(), check=True)["images"] == {}
    assert placed(arguments, planned())["failed"]


def test_a_cluster_that_does_not_answer_stops_a_run_but_no_check(
    arguments: dict[str, Any], server: str
) -> None:
    kubeconfig = Path(arguments["kubeconfig"])
    kubeconfig.write_text(kubeconfig.read_text().replace(server, "http://127.0.0.1:1"))
    assert placed(arguments, planned(), check=True)["nodes"] == {}
    assert placed(arguments, planned())["failed"]

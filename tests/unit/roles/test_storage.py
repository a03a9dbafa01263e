"""What makes volumes: where they are, what may do what, and what a pod on a node runs for it."""

from __future__ import annotations

import json

import yaml

from slipway.apps.names import reserved
from slipway.kube.claims import DEFAULT
from slipway.on_node.node_reset import MADE
from tests.support.storage import objects


def test_volumes_are_where_container_nodes_keep_them_and_machines_lose_them() -> None:
    [entry] = json.loads(objects()["ConfigMap"]["data"]["config.json"])["nodePathMap"]
    assert tuple(entry["paths"]) == MADE["local-path-provisioner"]
    assert entry["paths"][0].startswith("/var/")


def test_claims_that_name_no_class_get_one_whose_volumes_a_pod_s_group_may_write() -> None:
    found = objects()["StorageClass"]
    annotations = found["metadata"]["annotations"]
    assert annotations == {DEFAULT: "true", "defaultVolumeType": "local"}
    assert (found["volumeBindingMode"], found["reclaimPolicy"]) == (
        "WaitForFirstConsumer",
        "Delete",
    )


def test_no_app_comes_into_its_namespace_and_it_reads_no_secret() -> None:
    found = objects()
    assert reserved(found["Namespace"]["metadata"]["name"])
    rules = [*found["Role"]["rules"], *found["ClusterRole"]["rules"]]
    kinds = {kind for rule in rules for kind in rule["resources"]}
    assert kinds.isdisjoint({"secrets", "configmaps", "*"})
    everywhere = {kind for rule in found["ClusterRole"]["rules"] for kind in rule["resources"]}
    assert "pods" not in everywhere


def test_the_pod_on_a_node_has_no_token_and_may_no_more_than_its_work_takes() -> None:
    pod = yaml.safe_load(objects()["ConfigMap"]["data"]["helperPod.yaml"])["spec"]
    assert pod["automountServiceAccountToken"] is False
    [container] = pod["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("shell:1", "IfNotPresent")
    security = container["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": ["DAC_OVERRIDE", "FOWNER"]}
    assert not security.get("privileged")
    assert security["readOnlyRootFilesystem"]

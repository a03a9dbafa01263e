"""Which environments there are for people is what the cluster says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plugins.action import people
from slipway.apps.manifests.labels import BRANCH, NAME, OWN
from slipway.kube.client import Object
from tests.support.app_cluster import FakeApi
from tests.support.fake_ansible import action

ADA = {"ada": {"view": {"apps": ["orders"]}}}


def run(kubeconfig: Path, *, check: bool = False, diff: bool = False) -> dict[str, Any]:
    args = {"kubeconfig": str(kubeconfig), "people": ADA}
    result: dict[str, Any] = action(people.ActionModule, args, check=check, diff=diff).run()
    assert not result.get("failed"), result
    return result


def deployment(namespace: str, name: str) -> Object:
    labels = {NAME: name, **OWN}
    annotations = {BRANCH: "main"}
    metadata = {"namespace": namespace, "labels": labels, "annotations": annotations}
    return {"metadata": {"name": name, **metadata}}


def test_an_app_is_where_its_deployment_is(api: FakeApi, kubeconfig: Path) -> None:
    for name, phase in (("orders-main", "Active"), ("orders-old", "Terminating")):
        api.put("namespaces", {"metadata": {"name": name}, "status": {"phase": phase}})
        api.put("deployments", deployment(name, "orders"))
    result = run(kubeconfig, diff=True)
    assert "RoleBinding/slipway-people-view" in result["objects"]
    assert {key[1] for key in api.objects if key[0] == "rolebindings"} == {"orders-main"}
    assert "slipway:person:ada" in str(result["diff"])
    assert not run(kubeconfig)["changed"]


def test_before_there_is_a_cluster_a_check_says_that_there_will_be_changes(tmp_path: Path) -> None:
    assert run(tmp_path / "none", check=True) == {"changed": True, "objects": []}

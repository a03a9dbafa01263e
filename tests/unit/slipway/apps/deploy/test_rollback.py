"""Back to the version before, and what later runs make of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from plugins.action import apps_rollback
from slipway.apps.app import RolledBack, load_environments
from slipway.apps.deploy.rollback import carry_out, find
from slipway.errors import SlipwayError
from slipway.kube.client import Kube
from slipway.oci import ImageConfig, ImageStore
from tests.support.app_cluster import FakeApi
from tests.support.apps import built
from tests.support.fake_ansible import action
from tests.support.versions import back, deployment_controller, live, run, version


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments have ReplicaSets and are ready at once."""
    api.on_apply = deployment_controller


def test_image_configuration_and_commit_are_those_of_before(kube: Kube, api: FakeApi) -> None:
    run(kube, version(1))
    first = copy.deepcopy(api.named("deployments", "greeter-main", "greeter")["spec"]["template"])
    run(kube, version(2))
    rollback = back(kube)
    assert (rollback.was.commit[0], rollback.becomes.commit[0]) == ("2", "1")
    assert live(api) == ("1", "1", True)
    deployment = api.named("deployments", "greeter-main", "greeter")
    assert deployment["spec"]["template"] == first


def test_going_back_twice_leads_to_where_one_came_from(kube: Kube, api: FakeApi) -> None:
    run(kube, version(1))
    run(kube, version(2))
    back(kube)
    assert back(kube).ends_hold
    assert live(api) == ("2", "2", False)
    assert not run(kube, version(2)).changed


def test_the_newest_version_but_one_is_the_one_before(kube: Kube, api: FakeApi) -> None:
    for number in (1, 2, 3):
        run(kube, version(number))
    back(kube)
    assert live(api)[0] == "2"


def test_the_configuration_of_before_is_still_there(kube: Kube, api: FakeApi) -> None:
    for number in (1, 2):
        run(kube, version(number))
    back(kube)
    run(kube, version(2))
    deployment = api.named("deployments", "greeter-main", "greeter")
    [config] = [
        volume["configMap"]["name"]
        for volume in deployment["spec"]["template"]["spec"]["volumes"]
        if "configMap" in volume
    ]
    assert api.named("configmaps", "greeter-main", config)["data"]


@pytest.mark.parametrize("replicas", [3, {"min": 2, "max": 5}])
def test_a_version_with_a_volume_is_one_pod_again(kube: Kube, api: FakeApi, replicas: Any) -> None:
    run(kube, version(1, volumes={"data": {"path": "/srv"}}))
    run(kube, version(2, replicas=replicas))
    back(kube)
    deployment = api.named("deployments", "greeter-main", "greeter")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert ("horizontalpodautoscalers", "greeter-main", "greeter") not in api.objects


def test_an_autoscaler_that_somebody_else_made_stays(kube: Kube, api: FakeApi) -> None:
    run(kube, version(1, volumes={"data": {"path": "/srv"}}))
    run(kube, version(2))
    metadata = {"name": "greeter", "namespace": "greeter-main"}
    api.put("horizontalpodautoscalers", {"metadata": metadata, "spec": {}})
    back(kube)
    assert api.named("horizontalpodautoscalers", "greeter-main", "greeter")


def test_a_version_without_a_volume_comes_back_with_its_number_of_pods(
    kube: Kube, api: FakeApi
) -> None:
    run(kube, version(1, volumes={"data": {"path": "/srv"}}))
    run(kube, version(2, replicas=3))
    back(kube)
    back(kube)
    run(kube, version(2, replicas=3))
    deployment = api.named("deployments", "greeter-main", "greeter")["spec"]
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (3, "RollingUpdate")


def message(kube: Kube, name: str, branch: str = "") -> str:
    with pytest.raises(SlipwayError) as caught:
        find(kube, name, branch)
    return str(caught.value)


def test_what_cannot_be_meant_is_told_with_what_can(kube: Kube) -> None:
    run(kube, version(1), built(branch="loud"), built("quote"))
    assert "did you mean greeter?" in message(kube, "greter")
    assert "make list" in message(kube, "")
    several = message(kube, "greeter")
    assert "greeter-loud/greeter (loud), greeter-main/greeter (main)" in several
    assert "there is loud" in message(kube, "greeter", "lout")
    assert "quote (main): has no version before" in message(kube, "quote")
    assert "greeter (loud): has no version" in message(kube, "greeter", "loud")
    assert "greeter (main): has no version" in message(kube, "greeter-main/greeter")


def test_a_version_that_does_not_run_is_told(kube: Kube, api: FakeApi) -> None:
    run(kube, version(1))
    run(kube, version(2))
    api.on_apply = lambda _api, _obj: None
    api.named("deployments", "greeter-main", "greeter")["status"] = {}
    with pytest.raises(SlipwayError, match="not ready after 0 s"):
        carry_out(kube, find(kube, "greeter", ""), seconds=0, say=print)


def plugin(kubeconfig: Path, cache: Path, *, check: bool) -> dict[str, Any]:
    args = {"kubeconfig": str(kubeconfig), "cache": str(cache), "app": "greeter", "timeout": 10}
    result: dict[str, Any] = action(apps_rollback.ActionModule, args, check=check).run()
    return result


def test_a_check_finds_the_image_and_writes_nothing(
    kube: Kube, api: FakeApi, kubeconfig: Path, tmp_path: Path
) -> None:
    run(kube, version(1, node_selector={"disk": "fast"}))
    run(kube, version(2))
    store = ImageStore(tmp_path / "images")
    api.requests.clear()
    found = plugin(kubeconfig, tmp_path, check=True)
    assert load_environments(found["apps"]) == []  # the nodes have to have it
    store.add_image(version(1).image, [], ImageConfig())
    found = plugin(kubeconfig, tmp_path, check=True)
    assert load_environments(found["apps"]) == [
        RolledBack(
            id="greeter-main/greeter",
            name="greeter",
            namespace="greeter-main",
            git_branch="main",
            image=version(1).image,
            node_selector={"disk": "fast"},
        )
    ]
    assert api.writes == []
    assert plugin(kubeconfig, tmp_path, check=False)["becomes"]["commit"] == "1" * 40
    assert live(api) == ("1", "1", True)

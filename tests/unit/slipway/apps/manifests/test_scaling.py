"""Ranges of pods: what decides about them, and which number is written meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.apps.manifests.labels import owner_of
from slipway.apps.manifests.render import render
from slipway.apps.manifests.scaling import sized
from slipway.kube.client import Object
from slipway.kube.objects import by_key
from tests.support.apps import built
from tests.support.rendered import objects, only

RANGE = {"min": 2, "max": 5, "cpu": 60}
WORKER = {"worker": {"command": ["work"], "replicas": {"max": 3}}}


def written(live: int | None) -> int:
    """How many pods are written of an app that has so many, or does not run yet."""
    rendered = render(built(replicas=RANGE), "nginx")
    there = [{**obj, "spec": {**obj["spec"], "replicas": live}} for obj in deployments(rendered)]
    [found] = deployments(sized(rendered, by_key(there if live is not None else [])))
    return int(found["spec"]["replicas"])


def deployments(found: list[Object]) -> list[Object]:
    """Those among objects."""
    return [obj for obj in found if obj["kind"] == "Deployment"]


def test_an_autoscaler_decides_about_the_deployment_of_its_name() -> None:
    found = only("HorizontalPodAutoscaler", replicas=RANGE)
    assert found["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": only("Deployment")["metadata"]["name"],
    }
    assert (found["spec"]["minReplicas"], found["spec"]["maxReplicas"]) == (2, 5)
    [metric] = found["spec"]["metrics"]
    assert metric["resource"]["name"] == "cpu"
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 60}
    assert owner_of(found) == "greeter-main/greeter"


def test_the_deployment_says_no_number_itself() -> None:
    assert "replicas" not in only("Deployment", replicas=RANGE)["spec"]


def test_a_process_has_a_range_of_its_own() -> None:
    found = objects(processes=WORKER)
    [scaler] = found["HorizontalPodAutoscaler"]
    assert scaler["spec"]["scaleTargetRef"]["name"] == "greeter-worker"
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 3)
    assert owner_of(scaler) == "greeter-main/greeter"
    counts = {obj["metadata"]["name"]: obj["spec"].get("replicas") for obj in found["Deployment"]}
    assert counts == {"greeter": 1, "greeter-worker": None}


@pytest.mark.parametrize("live", [2, 3, 5])
def test_a_number_in_the_range_stays(live: int) -> None:
    assert written(live) == live


@pytest.mark.parametrize(("live", "count"), [(None, 2), (0, 2), (1, 2), (9, 5)])
def test_a_number_outside_of_it_becomes_the_nearest(live: int | None, count: int) -> None:
    assert written(live) == count


def test_a_number_that_apps_yml_says_is_that() -> None:
    rendered = render(built(replicas=2), "nginx")
    there: list[dict[str, Any]] = [{**obj, "spec": {"replicas": 4}} for obj in rendered]
    assert sized(rendered, by_key(there)) == rendered

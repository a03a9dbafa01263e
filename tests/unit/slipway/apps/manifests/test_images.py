"""Where pods name images, and what nodes get in their place."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.apps.app import CarriedImage
from slipway.apps.manifests.images import Use, uses, with_images
from slipway.kube.client import Object

REDIS, TOOL = "docker.io/library/redis:8", "r.test:5000/team/tool"
STORED = "apps.slipway.internal/docker.io/library/redis:8-0123456789ab"


def pod(*images: Any, **more: Any) -> dict[str, Any]:
    containers = [{"name": f"c{at}", "image": image} for at, image in enumerate(images)]
    return {"containers": containers, **more}


def deployment(spec: dict[str, Any]) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "cache"},
        "spec": {"template": {"metadata": {}, "spec": spec}},
    }


def carried(**more: Any) -> dict[str, CarriedImage]:
    return {REDIS: CarriedImage(named=REDIS, image=STORED, **more)}


def found(obj: Object) -> list[Use]:
    return list(uses("deploy/redis.yaml:12", obj))


_TEMPLATE = {"template": {"spec": pod(REDIS)}}
KINDS: dict[tuple[str, str], dict[str, Any]] = {
    ("v1", "Pod"): {"spec": pod(REDIS)},
    ("v1", "PodTemplate"): _TEMPLATE,
    ("v1", "ReplicationController"): {"spec": _TEMPLATE},
    ("apps/v1", "DaemonSet"): {"spec": _TEMPLATE},
    ("apps/v1", "Deployment"): {"spec": _TEMPLATE},
    ("apps/v1", "ReplicaSet"): {"spec": _TEMPLATE},
    ("apps/v1", "StatefulSet"): {"spec": _TEMPLATE},
    ("batch/v1", "Job"): {"spec": _TEMPLATE},
    ("batch/v1", "CronJob"): {"spec": {"jobTemplate": {"spec": _TEMPLATE}}},
}
OTHERS: dict[tuple[str, str], dict[str, Any]] = {
    ("example.org/v1", "Deployment"): {"spec": _TEMPLATE},
    ("argoproj.io/v1alpha1", "Rollout"): {"spec": _TEMPLATE},
    ("v1", "ConfigMap"): {"data": {"image": REDIS}},
}


def of_kind(kind: tuple[str, str], body: dict[str, Any]) -> Object:
    return {"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": "cache"}, **body}


@pytest.mark.parametrize("kind", KINDS)
def test_pods_of_every_kind_that_kubernetes_has_get_their_images(kind: tuple[str, str]) -> None:
    obj = of_kind(kind, KINDS[kind])
    [use] = found(obj)
    assert use.named == REDIS
    assert use.where == f"deploy/redis.yaml:12: {kind[1]} cache: container c0"
    made = with_images(obj, carried())
    assert found(made) == []
    assert "'imagePullPolicy': 'IfNotPresent'" in str(made)
    assert str(made).count(STORED) == 1
    assert found(obj) == [use]  # it stays as it is


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_of_another_kind_is_not_looked_into(kind: tuple[str, str]) -> None:
    obj = of_kind(kind, OTHERS[kind])
    assert found(obj) == []
    assert with_images(obj, carried()) == obj


def test_containers_of_all_kinds_and_volumes_name_images() -> None:
    obj = deployment(
        {
            "initContainers": [{"name": "a", "image": REDIS, "imagePullPolicy": "Always"}],
            "containers": [{"name": "b", "image": REDIS}, {"name": "c", "image": TOOL}],
            "ephemeralContainers": [{"image": REDIS}],
            "volumes": [
                {"name": "d", "image": {"reference": REDIS, "pullPolicy": "Always"}},
                {"name": "e", "emptyDir": {}},
            ],
        }
    )
    title = "deploy/redis.yaml:12: Deployment cache: "
    assert [use.where.removeprefix(title) for use in found(obj)] == [
        "init container a",
        "container b",
        "container c",
        "ephemeral container 0",
        "volume d",
    ]
    spec = with_images(obj, carried())["spec"]["template"]["spec"]
    stored = {"image": STORED, "imagePullPolicy": "IfNotPresent"}
    assert spec == {
        "initContainers": [{"name": "a", **stored}],
        "containers": [{"name": "b", **stored}, {"name": "c", "image": TOOL}],
        "ephemeralContainers": [stored],
        "volumes": [
            {"name": "d", "image": {"reference": STORED, "pullPolicy": "IfNotPresent"}},
            {"name": "e", "emptyDir": {}},
        ],
    }


@pytest.mark.parametrize(
    "ref",
    [
        "apps.slipway.internal/greeter:main-0123456789ab",
        "bundle.slipway.internal/python:3.13",
        f"sha256:{'ab' * 32}",
        "ab" * 32,
        "",
        8,
        None,
        ["redis"],
    ],
)
def test_what_no_registry_has_is_left(ref: Any) -> None:
    obj = deployment(pod(ref))
    assert found(obj) == []
    assert with_images(obj, carried()) == obj


@pytest.mark.parametrize(
    "spec",
    [
        {},
        None,
        "pod",
        {"containers": None},
        {"containers": ["a", None]},
        {"volumes": [{"image": 1}]},
    ],
)
def test_what_has_another_shape_is_left_to_the_api(spec: Any) -> None:
    obj = deployment(spec)
    assert found(obj) == []
    assert with_images(obj, carried()) == obj


@pytest.mark.parametrize(
    ("more", "tolerant"),
    [
        ({}, False),
        ({"tolerations": [{"key": "disk"}]}, True),
        ({"nodeName": "one"}, True),
        ({"nodeSelector": {"disk": "ssd", "odd": 1}}, False),
    ],
)
def test_where_pods_may_be_is_what_they_say(more: dict[str, Any], tolerant: bool) -> None:
    [use] = found(deployment(pod(REDIS, **more)))
    labels = {"disk": "ssd"} if "nodeSelector" in more else {}
    assert (use.node_selector, use.tolerant) == (labels, tolerant)


def test_pods_of_a_daemon_set_may_be_on_nodes_that_take_no_others() -> None:
    [use] = found(of_kind(("apps/v1", "DaemonSet"), {"spec": _TEMPLATE}))
    assert use.tolerant


def test_pods_go_where_there_is_an_image_for_the_processor() -> None:
    obj = deployment(pod(REDIS, TOOL, nodeSelector={"disk": "ssd"}))
    spec = with_images(obj, carried(architecture="amd64"))["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"disk": "ssd", "kubernetes.io/arch": "amd64"}
    others = with_images(deployment(pod(TOOL)), carried(architecture="amd64"))
    assert "nodeSelector" not in others["spec"]["template"]["spec"]

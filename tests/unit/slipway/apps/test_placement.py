"""Which nodes need which images, by rule and as the action asks the cluster."""

from __future__ import annotations

import pytest

from slipway.apps.app import placeable
from slipway.apps.placement import architecture_of, place
from slipway.architecture import Architecture
from tests.support.apps import built, planned
from tests.support.workloads import FAILED

SSD = {"disk": "ssd"}


APPS = [
    built(image="b:1"),
    built(image="a:1", node_selector=SSD),
    built(image="c:1", node_selector={**SSD, "zone": "1"}),
    built(image="b:1"),
    planned(),
    built(image="d:1", failed=FAILED),
]


@pytest.mark.parametrize(
    ("labels", "images"),
    [
        ({}, ["b:1"]),
        ({"disk": "hdd", "zone": "1"}, ["b:1"]),
        (SSD, ["a:1", "b:1"]),
        ({**SSD, "zone": "1", "more": ""}, ["a:1", "b:1", "c:1"]),
    ],
)
def test_a_node_gets_the_images_that_may_run_there(
    labels: dict[str, str], images: list[str]
) -> None:
    nodes = {"n": {"labels": labels, "schedulable": True}}
    assert place(placeable(APPS), nodes) == {"n": images}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({"kubernetes.io/arch": "s390x"}, "s390x"), ({}, Architecture.here().value)],
)
def test_a_node_says_its_processor_by_a_label(labels: dict[str, str], expected: str) -> None:
    assert architecture_of({"labels": labels}) == expected


def test_a_node_that_takes_no_pods_gets_no_images() -> None:
    nodes = {"n": {"labels": SSD, "schedulable": False}}
    assert place(placeable(APPS), nodes) == {"n": []}


@pytest.mark.parametrize(
    ("labels", "schedulable", "images"),
    [
        ({}, True, ["a:1", "any:1"]),
        (SSD, True, ["a:1", "any:1", "ssd:1", "tolerant:1"]),
        (SSD, False, ["tolerant:1"]),
        ({}, False, []),
    ],
)
def test_a_node_gets_the_images_of_manifests_whose_pods_may_run_there(
    labels: dict[str, str], schedulable: bool, images: list[str]
) -> None:
    carried = [
        {"named": "any", "image": "any:1"},
        {"named": "ssd", "image": "ssd:1", "node_selector": SSD},
        {"named": "tolerant", "image": "tolerant:1", "node_selector": SSD, "tolerant": True},
        {"named": "waiting", "image": ""},
    ]
    apps = [
        built(image="a:1", carried=carried),
        built(carried=[{"named": "f", "image": "f:1"}], failed=FAILED),
    ]
    nodes = {"n": {"labels": labels, "schedulable": schedulable}}
    assert place(placeable(apps), nodes) == {"n": images}

"""Which nodes need which images, by rule and as the action asks the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.apps.placement import place
from tests.support.apps import planned
from tests.support.workloads import FAILED

SSD = {"disk": "ssd"}


def app(image: str | None, selector: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A record; without an image the app was not built."""
    return planned(node_selector=selector or {}, **({"image": image} if image else {}), **more)


APPS = [
    app("b:1"),
    app("a:1", SSD),
    app("c:1", {**SSD, "zone": "1"}),
    app("b:1"),
    app(None),
    app("d:1", failed=FAILED),
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
    assert place(APPS, {"n": {"labels": labels, "schedulable": True}}) == {"n": images}


def test_a_node_that_takes_no_pods_gets_no_images() -> None:
    assert place(APPS, {"n": {"labels": SSD, "schedulable": False}}) == {"n": []}

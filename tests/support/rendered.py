"""The objects of an app as they are rendered."""

from __future__ import annotations

from typing import Any

from slipway.apps.manifests.render import render
from slipway.kube.client import Object
from tests.support.apps import built


def objects(**changes: Any) -> dict[str, list[Object]]:
    """An app's objects by kind."""
    found: dict[str, list[Object]] = {}
    for obj in render(built(**changes), "nginx"):
        found.setdefault(obj["kind"], []).append(obj)
    return found


def only(kind: str, **changes: Any) -> Object:
    [obj] = objects(**changes)[kind]
    return obj


def pod(**changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = only("Deployment", **changes)["spec"]["template"]["spec"]
    return spec


def container(**changes: Any) -> dict[str, Any]:
    [found] = pod(**changes)["containers"]
    assert isinstance(found, dict)
    return found

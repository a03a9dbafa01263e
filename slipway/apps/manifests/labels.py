"""The labels, annotations and names by which Slipway knows what it made for apps."""

from __future__ import annotations

from typing import Any

from slipway.apps.records import App
from slipway.kube import Object
from slipway.objects import contains

ROUTES_NAMESPACE = "slipway-routes"
"""Where the master Ingress of every host lives, so that no app's removal takes a host along."""

NAME = "app.kubernetes.io/name"
MANAGED_BY = "app.kubernetes.io/managed-by"
PART_OF = "app.kubernetes.io/part-of"
OWN = {MANAGED_BY: "slipway", PART_OF: "slipway-apps"}
"""The labels on all that the deployment of apps makes, and on nothing else."""

OWN_SELECTOR = ",".join(f"{key}={value}" for key, value in OWN.items())

POD_HASH = "slipway.internal/pod-hash"
BRANCH = "slipway.internal/branch"
COMMIT = "slipway.internal/commit"

SERVICE_PORT = 80


def owner_of(obj: Object) -> str:
    """The id of the app that an object of Slipway's belongs to; a master Ingress has none."""
    metadata = obj["metadata"]
    return f"{metadata['namespace']}/{metadata['labels'].get(NAME, '')}"


def is_own(obj: Object) -> bool:
    """Whether Slipway's deployment of apps made this object."""
    return contains(obj["metadata"].get("labels", {}), OWN)


def selector(app: App) -> dict[str, str]:
    """What tells an app's pods from others in the namespace; a Deployment may never change it."""
    return {NAME: app["name"], MANAGED_BY: OWN[MANAGED_BY]}


def metadata(app: App, name: str | None = None, **annotations: str) -> dict[str, Any]:
    """The metadata of an object of an app, whose name it has unless it gets another."""
    found: dict[str, Any] = {
        "name": name or app["name"],
        "namespace": app["namespace"],
        "labels": {NAME: app["name"], "app.kubernetes.io/instance": app["branch_slug"], **OWN},
    }
    return {**found, "annotations": annotations} if annotations else found

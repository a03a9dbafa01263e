"""The labels, annotations and names by which Slipway knows what it made for apps.

The page of all environments has this module too: it needs nothing but Python.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.apps.app import App, Environment

Object = dict[str, Any]

ROUTES_NAMESPACE = "slipway-routes"
"""Where the master Ingress of every host lives, so that no app's removal takes a host along."""

NAME = "app.kubernetes.io/name"
MANAGED_BY = "app.kubernetes.io/managed-by"
PART_OF = "app.kubernetes.io/part-of"
OWN = {MANAGED_BY: "slipway", PART_OF: "slipway-apps"}
"""The labels on all that the deployment of apps makes, and on nothing else."""

OWN_SELECTOR = ",".join(f"{key}={value}" for key, value in OWN.items())

OWN_DOMAIN = "slipway.internal/"
"""What the labels and annotations begin with that nobody else may give."""

POD_HASH = "slipway.internal/pod-hash"
CERTIFICATE = "slipway.internal/certificate"
"""On pods: the version of the certificate that their app shows. It is no part of their hash."""

BRANCH = "slipway.internal/branch"
COMMIT = "slipway.internal/commit"

APP = "slipway.internal/app"
"""The label of what runs beside an app's own pods, with the app's name."""

PATTERN = "slipway.internal/pattern"
"""The label of a Deployment whose branch is one of a pattern's."""

HELD_FROM = "slipway.internal/held-from"
"""The pod hash that a Deployment was rolled back from, and that it does not go to again."""

GONE_SINCE = "slipway.internal/branch-gone-since"
"""On a namespace: when a run first missed the branch of what is in it."""

KEEP = "slipway.internal/keep"
"""``true`` on a namespace, as label or annotation, keeps it when its branch is deleted."""

AWAITS = "slipway.internal/awaits"
"""On a claim: the branch whose data its volume is yet to get."""

ADMITS = "slipway.internal/apps"
"""``true`` on a namespace that somebody else made lets apps into it."""

ENVIRONMENTS = "environments"
"""The ConfigMap beside the routes in which runs note what the cluster itself does not tell."""

EXTRA_OF = "slipway.internal/extra-of"
"""The label of what comes from an app's manifests and charts, with the app's name."""

EXTRA_SELECTOR = EXTRA_OF
"""Who has the label, whatever its value."""

OWNER = "slipway.internal/owner"
"""The id of the app that an extra belongs to; of several that share one, none."""

EXTRA_KINDS = "slipway.internal/extra-kinds"
"""On a Deployment: the kinds of which the app may have extras, so that all can be found again."""

EXTRA_IMAGES = "slipway.internal/extra-images"
"""On a Deployment, and so on its ReplicaSets: the images that the pods of the app's extras have."""

NOTES_KEY = "environments.json"

SERVICE_PORT = 80
"""The port of an app's Service that its routes lead to."""

HTTPS_SERVICE_PORT = 443
"""The port that leads to an app's own where that speaks HTTPS, and routes lead to none."""

HTTP = "http"
"""The name of the first of these ports, and of the one of the container."""


def owner_of(obj: Object) -> str:
    """The id of the app that an object of Slipway's belongs to; others of Slipway's have none."""
    metadata = obj["metadata"]
    labels = metadata["labels"]
    return f"{metadata.get('namespace', '')}/{labels.get(APP) or labels.get(NAME, '')}"


def brought_along(
    untold: Collection[str], known: Collection[str], objects: Iterable[Object]
) -> set[str]:
    """The ids of what runs beside apps of which nothing can be told, by the names of services.

    What such an app serves with may need it, though it is none of the apps that are ``known`` now.
    """
    owners = {owner_of(obj) for obj in objects} - {*known}
    return {owner for owner in owners if any(owner.startswith(f"{each}-") for each in untold)}


def is_own(obj: Object) -> bool:
    """Whether Slipway's deployment of apps made this object."""
    return OWN.items() <= (obj["metadata"].get("labels") or {}).items()


def is_app(deployment: Object) -> bool:
    """Whether a Deployment with Slipway's labels is an app's, as only Slipway makes it.

    Others may wear the labels too, as one does that somebody copied.
    """
    metadata = deployment["metadata"]
    labels = metadata.get("labels") or {}
    own = labels.get(NAME) == metadata["name"] and APP not in labels
    return own and BRANCH in (metadata.get("annotations") or {})


def is_process(deployment: Object) -> bool:
    """Whether a Deployment with Slipway's labels runs a process beside an app's own pods."""
    metadata = deployment["metadata"]
    labels = metadata.get("labels") or {}
    return APP in labels and BRANCH in (metadata.get("annotations") or {})


def pod_hash(pod: Object) -> str:
    """Return the hash of the template that a pod came from, or of a template itself."""
    return str(pod.get("metadata", {}).get("annotations", {}).get(POD_HASH, ""))


def extra_images(workload: Object) -> list[str]:
    """Return the images that a workload of an app notes of the app's extras."""
    noted = (workload["metadata"].get("annotations") or {}).get(EXTRA_IMAGES, "")
    return [image for image in noted.split(",") if image]


def is_extra(obj: Object) -> bool:
    """Whether this object comes from the manifests or charts of an app."""
    return EXTRA_OF in (obj["metadata"].get("labels") or {})


def selector(app: Environment, part: str = "") -> dict[str, str]:
    """What tells an app's pods from others in the namespace; a Deployment may never change it.

    Those of a process are a ``part`` of it.
    """
    return {NAME: named(app, part), MANAGED_BY: OWN[MANAGED_BY]}


def named(app: Environment, part: str = "") -> str:
    """The name of an app's own Deployment, or of a ``part`` that runs beside its pods."""
    return f"{app.name}-{part}" if part else app.name


def service_port(app: App) -> int:
    """The port of an app's Service that leads to its own."""
    return SERVICE_PORT if app.scheme == HTTP else HTTPS_SERVICE_PORT


def metadata(app: App, name: str | None = None, **annotations: str) -> dict[str, Any]:
    """The metadata of an object of an app, whose name it has unless it gets another."""
    found: dict[str, Any] = {
        "name": name or app.name,
        "namespace": app.namespace,
        "labels": {NAME: app.name, "app.kubernetes.io/instance": app.branch_slug, **OWN},
    }
    return {**found, "annotations": annotations} if annotations else found


def part_metadata(app: App, part: str, **annotations: str) -> dict[str, Any]:
    """The metadata of what runs beside an app's own pods."""
    found = metadata(app, named(app, part), **annotations)
    return {**found, "labels": {**found["labels"], NAME: named(app, part), APP: app.name}}

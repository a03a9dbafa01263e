"""What an app is in the cluster, as Kubernetes objects. Nothing here talks to anything.

Every object carries the hash of itself as it was rendered, so that a later run knows what was
applied without asking for the details, and the labels by which Slipway knows its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slipway.apps.app import App, Built
from slipway.apps.manifests.config import config_map
from slipway.apps.manifests.extras import kinds_text, settings
from slipway.apps.manifests.labels import (
    BRANCH,
    COMMIT,
    EXTRA_KINDS,
    PATTERN,
    POD_HASH,
    SERVICE_PORT,
    metadata,
    selector,
)
from slipway.apps.manifests.pod import START_SECONDS, pod_spec, start_seconds
from slipway.apps.manifests.routes import minions
from slipway.apps.names import pattern_id
from slipway.kube.client import DEPLOYMENTS, SERVICES, Object
from slipway.kube.objects import digest, sealed
from slipway.kube.workloads import patient_pod
from slipway.waiting import allowed


def render(
    app: Built,
    ingress_class: str,
    secret: Object | None = None,
    extras: Sequence[Object] = (),
    leftovers: Sequence[Object] = (),
) -> list[Object]:
    """An app's own objects, in the order in which they are to be applied.

    ``secret`` is the Secret of an app that has secrets. The Deployment notes the kinds of the
    app's ``extras``, and of its ``leftovers``, which it had and which are still to be removed.
    """
    config = config_map(app)
    return [
        *([sealed(config)] if config else []),
        *([secret] if secret else []),
        sealed(_service(app)),
        sealed(_deployment(app, patient_pod(pod_spec(app, config, secret)), extras, leftovers)),
        *map(sealed, minions(app, ingress_class)),
    ]


def _service(app: App) -> Object:
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": metadata(app),
        "spec": {
            "selector": selector(app),
            "ports": [
                {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}
            ],
        },
    }


def _deployment(
    app: Built, pod: dict[str, Any], extras: Sequence[Object], leftovers: Sequence[Object]
) -> Object:
    """The Deployment; its commit is no part of the pod, so the same image does not roll."""
    about = metadata(app, **{BRANCH: app.git_branch, COMMIT: app.commit})
    if pattern := app.pattern:
        about["labels"][PATTERN] = pattern_id(app.name, app.git_url, pattern)
    if kinds := kinds_text([*extras, *leftovers]):
        about["annotations"][EXTRA_KINDS] = kinds
    depends_on = settings(app, extras)
    return {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": about,
        "spec": {
            "replicas": app.replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": round(allowed(max(START_SECONDS, start_seconds(app)) + 60)),
            "selector": {"matchLabels": selector(app)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
            },
            "template": {
                "metadata": {
                    "labels": metadata(app)["labels"],
                    "annotations": {POD_HASH: digest([pod, depends_on] if depends_on else pod)},
                },
                "spec": pod,
            },
        },
    }

"""What an app is in the cluster: its record as Kubernetes objects. Nothing here talks to anything.

Every object carries the hash of itself as it was rendered, so that a later run knows what was
applied without asking for the details, and the labels by which Slipway knows its own.
"""

from __future__ import annotations

from slipway.apps.manifests.config import config_map
from slipway.apps.manifests.labels import (
    BRANCH,
    COMMIT,
    OWN,
    POD_HASH,
    SERVICE_PORT,
    metadata,
    selector,
)
from slipway.apps.manifests.pod import START_SECONDS, pod_spec
from slipway.apps.manifests.routes import minions
from slipway.apps.records import App
from slipway.kube import DEPLOYMENTS, NAMESPACES, SERVICES, Object
from slipway.objects import digest, sealed


def namespace(name: str) -> Object:
    """A namespace of Slipway's own."""
    return sealed(
        {
            "apiVersion": NAMESPACES.api_version,
            "kind": NAMESPACES.kind,
            "metadata": {"name": name, "labels": dict(OWN)},
        }
    )


def render(app: App, ingress_class: str) -> list[Object]:
    """An app's own objects, in the order in which they are to be applied."""
    config = config_map(app)
    return [
        sealed(obj)
        for obj in (
            *([config] if config else []),
            _service(app),
            _deployment(app, config),
            *minions(app, ingress_class),
        )
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


def _deployment(app: App, config: Object | None) -> Object:
    """The Deployment; its commit is no part of the pod, so the same image does not roll."""
    source = {BRANCH: app["git_branch"], COMMIT: app["commit"]}
    pod = pod_spec(app, config)
    return {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": {**metadata(app), "annotations": source},
        "spec": {
            "replicas": app["replicas"],
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": START_SECONDS + 60,
            "selector": {"matchLabels": selector(app)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
            },
            "template": {
                "metadata": {
                    "labels": metadata(app)["labels"],
                    "annotations": {POD_HASH: digest(pod)},
                },
                "spec": pod,
            },
        },
    }

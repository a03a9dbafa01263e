"""An app's pod: it writes to /tmp alone, has no rights, and knows no other service's address."""

from __future__ import annotations

from typing import Any

from slipway.apps.manifests.config import config_keys
from slipway.apps.records import App
from slipway.kube import Object

USER_ID = 65532
"""Who every app runs as, whatever its image names: by custom the ``nonroot`` user of images."""

START_SECONDS = 300
"""How long a container may take to start before it is started anew."""

DRAIN_SECONDS = 5
"""How long a pod that is to go still serves: the ingress stops sending requests meanwhile."""

STOP_SECONDS = 30
"""How long a pod has, draining included, until it is killed."""


def pod_spec(app: App, config: Object | None) -> dict[str, Any]:
    """The pod of an app with its configuration.

    Each config file is mounted by itself (``subPath``), so what the image has beside it stays.
    """
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if config:
        volumes.append({"name": "config", "configMap": {"name": config["metadata"]["name"]}})
        mounts += [
            {"name": "config", "mountPath": file["path"], "subPath": key, "readOnly": True}
            for key, file in config_keys(app).items()
        ]
    health = app.get("health_path")
    check = (
        {"httpGet": {"path": health, "port": "http"}} if health else {"tcpSocket": {"port": "http"}}
    )
    often = {**check, "periodSeconds": 1, "timeoutSeconds": 3}
    container = {
        "name": app["name"],
        "image": app["image"],
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": app["port"], "protocol": "TCP"}],
        "env": [{"name": name, **source} for name, source in sorted(app["env"].items())],
        "volumeMounts": mounts,
        "startupProbe": {**often, "failureThreshold": START_SECONDS},
        "readinessProbe": {**often, "failureThreshold": 3},
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        "nodeSelector": app["node_selector"],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{key: value for key, value in container.items() if value}],
        "volumes": volumes,
    }
    return {key: value for key, value in pod.items() if value not in ({}, [])}

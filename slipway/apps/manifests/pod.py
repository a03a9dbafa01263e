"""An app's pod: it writes to /tmp alone, has no rights, and knows no other service's address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.apps.app import App
from slipway.apps.manifests.config import config_keys
from slipway.kube.client import Object

USER_ID = 65532
"""Who every app runs as, whatever its image names: by custom the ``nonroot`` user of images."""

START_SECONDS = 300
"""How long a container may take to start before it is started anew."""

DRAIN_SECONDS = 5
"""How long a pod that is to go still serves: the ingress stops sending requests meanwhile."""

STOP_SECONDS = 30
"""How long a pod has, draining included, until it is killed."""


def pod_spec(app: App, config: Object | None, secret: Object | None) -> dict[str, Any]:
    """The pod of an app with its configuration and its secrets.

    Each config file is mounted by itself (``subPath``), so what the image has beside it stays.
    """
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    files = config_keys(app)
    if config:
        volumes.append({"name": "config", "configMap": {"name": config["metadata"]["name"]}})
    if secret and any("secret" in file for file in files.values()):
        volumes.append({"name": "secrets", "secret": {"secretName": secret["metadata"]["name"]}})
    mounts += [
        {
            "name": "secrets" if "secret" in file else "config",
            "mountPath": file["path"],
            "subPath": key,
            "readOnly": True,
        }
        for key, file in files.items()
    ]
    security = app["security"]
    user = security.get("run_as_user", USER_ID)
    capabilities = security.get("capabilities")
    container = {
        "name": app["name"],
        "image": app["image"],
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": app["port"], "protocol": "TCP"}],
        "env": [_variable(name, source, secret) for name, source in sorted(app["env"].items())],
        "resources": app["resources"],
        "volumeMounts": mounts,
        **_probes(app),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": not security.get("writable_root", False),
            "capabilities": {"drop": ["ALL"], **({"add": capabilities} if capabilities else {})},
        },
    }
    account = app["service_account"]
    pod = {
        "serviceAccountName": account,
        "automountServiceAccountToken": bool(account),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        "nodeSelector": app["node_selector"],
        "securityContext": {
            "runAsNonRoot": user != 0,
            "runAsUser": user,
            "runAsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{key: value for key, value in container.items() if value}],
        "volumes": volumes,
    }
    return {key: value for key, value in pod.items() if value not in (None, {}, [])}


def start_seconds(app: App) -> int:
    """How long the app's container may take to start before it is started anew."""
    probe = app["probes"].get("startup")
    return _period(probe) * _failures(probe) if probe is not None else START_SECONDS


def _variable(name: str, source: Mapping[str, str], secret: Object | None) -> dict[str, Any]:
    """A variable of the container, which only points at what is secret or somebody else's."""
    if "value" in source:
        return {"name": name, "value": source["value"]}
    if "config_map" in source:
        place = {"configMapKeyRef": {"name": source["config_map"], "key": source["key"]}}
    elif "kubernetes_secret" in source:
        place = {"secretKeyRef": {"name": source["kubernetes_secret"], "key": source["key"]}}
    else:
        own = secret["metadata"]["name"] if secret else ""
        place = {"secretKeyRef": {"name": own, "key": name}}
    return {"name": name, "valueFrom": place}


def _probes(app: App) -> dict[str, Any]:
    """The checks: those given, and where none is, whether the app starts and is ready to serve.

    The one of the start is made often, for people wait for it. The kubelet makes the other as soon
    as that has passed, and then as often as is usual in Kubernetes: a node has to make it for all
    its pods for ever.
    """
    health = app["health_path"]
    check = {**_check({"path": health} if health else {}), "timeoutSeconds": 3}
    usual = {
        "startupProbe": {**check, "periodSeconds": 1, "failureThreshold": START_SECONDS},
        "readinessProbe": check,
    }
    given = {
        f"{name}Probe": {
            **_check(probe),
            "periodSeconds": _period(probe),
            "timeoutSeconds": probe.get("timeout", 3),
            "failureThreshold": _failures(probe),
        }
        for name, probe in app["probes"].items()
    }
    return {**usual, **given}


def _check(probe: Mapping[str, Any]) -> dict[str, Any]:
    port = probe.get("port", "http")
    if "command" in probe:
        return {"exec": {"command": probe["command"]}}
    if "path" in probe:
        return {"httpGet": {"path": probe["path"], "port": port}}
    return {"tcpSocket": {"port": port}}


def _period(probe: Mapping[str, Any]) -> int:
    return int(probe.get("period", 10))


def _failures(probe: Mapping[str, Any]) -> int:
    return int(probe.get("failures", 3))

"""What an app is in the cluster: its record as Kubernetes objects. Nothing here talks to anything.

Every object carries the hash of itself as it was rendered (``HASH``), so that a later run knows
what was applied without asking for the details, and the labels by which Slipway knows its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from slipway.apps.records import App
from slipway.kube import CONFIG_MAPS, DEPLOYMENTS, INGRESSES, NAMESPACES, SERVICES, Object

ROUTES_NAMESPACE = "slipway-routes"
"""Where the master Ingress of every host lives, so that no app's removal takes a host along."""

NAME = "app.kubernetes.io/name"
MANAGED_BY = "app.kubernetes.io/managed-by"
PART_OF = "app.kubernetes.io/part-of"
OWN = {MANAGED_BY: "slipway", PART_OF: "slipway-apps"}
"""The labels on all that the deployment of apps makes, and on nothing else."""

OWN_SELECTOR = ",".join(f"{key}={value}" for key, value in OWN.items())

HASH = "slipway.internal/hash"
POD_HASH = "slipway.internal/pod-hash"
BRANCH = "slipway.internal/branch"
COMMIT = "slipway.internal/commit"

MERGEABLE = "nginx.org/mergeable-ingress-type"
REWRITES = "nginx.org/rewrites"

SERVICE_PORT = 80
USER_ID = 65532
"""Who every app runs as, whatever its image names: by custom the ``nonroot`` user of images."""

START_SECONDS = 300
"""How long a container may take to start before it is started anew."""

DRAIN_SECONDS = 5
"""How long a pod that is to go still serves: the ingress stops sending requests meanwhile."""

STOP_SECONDS = 30
"""How long a pod has, draining included, until it is killed."""


def owner_of(obj: Object) -> str:
    """The id of the app that an object of Slipway's belongs to; a master Ingress has none."""
    metadata = obj["metadata"]
    return f"{metadata['namespace']}/{metadata['labels'].get(NAME, '')}"


def namespace(name: str) -> Object:
    """A namespace of Slipway's own."""
    return _sealed(
        {
            "apiVersion": NAMESPACES.api_version,
            "kind": NAMESPACES.kind,
            "metadata": {"name": name, "labels": dict(OWN)},
        }
    )


def master(host: str, ingress_class: str) -> Object:
    """The master Ingress of a host: it holds the host, the apps' minions hold the paths."""
    return _sealed(
        {
            "apiVersion": INGRESSES.api_version,
            "kind": INGRESSES.kind,
            "metadata": {
                "name": host,
                "namespace": ROUTES_NAMESPACE,
                "labels": dict(OWN),
                "annotations": {MERGEABLE: "master"},
            },
            "spec": {"ingressClassName": ingress_class, "rules": [{"host": host}]},
        }
    )


def render(app: App, ingress_class: str) -> list[Object]:
    """An app's own objects, in the order in which they are to be applied."""
    config = _config_map(app)
    return [
        _sealed(obj)
        for obj in (
            *([config] if config else []),
            _service(app),
            _deployment(app, config),
            *_minions(app, ingress_class),
        )
    ]


def contains(live: Any, wanted: Any) -> bool:
    """Whether ``live`` still says all that ``wanted`` says, whatever the API added to it."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key in live and contains(live[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(live, list) and len(live) == len(wanted) and all(map(contains, live, wanted))
        )
    return bool(live == wanted)


def digest(value: Any) -> str:
    """A short content hash of plain data, the same in every run."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sealed(obj: Object) -> Object:
    """The object with its own hash among its annotations."""
    annotations = {**obj["metadata"].get("annotations", {}), HASH: digest(obj)}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def _selector(app: App) -> dict[str, str]:
    """What tells an app's pods from others in the namespace; a Deployment may never change it."""
    return {NAME: app["name"], MANAGED_BY: OWN[MANAGED_BY]}


def _metadata(app: App, name: str | None = None, **annotations: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": name or app["name"],
        "namespace": app["namespace"],
        "labels": {NAME: app["name"], "app.kubernetes.io/instance": app["branch_slug"], **OWN},
    }
    return {**metadata, "annotations": annotations} if annotations else metadata


def _config_keys(app: App) -> dict[str, Mapping[str, str]]:
    """The app's config files by ConfigMap key: a number, for uniqueness, and the file's name."""
    files = sorted(app["config_files"], key=lambda file: str(file["path"]))
    return {
        f"{number}-{re.sub('[^-._a-zA-Z0-9]', '_', file['path'].rsplit('/', 1)[-1])}": file
        for number, file in enumerate(files)
    }


def _config_map(app: App) -> Object | None:
    """The config files in one ConfigMap that never changes: other content has another name.

    Thus pods of the version before keep their own configuration, also when they restart or are
    rolled back to, and new content rolls the pods of this app because their volume differs.
    """
    data = {key: file["content"] for key, file in _config_keys(app).items()}
    if not data:
        return None
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": _metadata(app, f"{app['name']}-{digest(data)[:10]}"),
        "immutable": True,
        "data": data,
    }


def _service(app: App) -> Object:
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": _metadata(app),
        "spec": {
            "selector": _selector(app),
            "ports": [
                {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}
            ],
        },
    }


def _deployment(app: App, config: Object | None) -> Object:
    """The Deployment; its commit is no part of the pod, so the same image does not roll."""
    source = {BRANCH: app["git_branch"], COMMIT: app["commit"]}
    pod = _pod(app, config)
    return {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": {**_metadata(app), "annotations": source},
        "spec": {
            "replicas": app["replicas"],
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": START_SECONDS + 60,
            "selector": {"matchLabels": _selector(app)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
            },
            "template": {
                "metadata": {
                    "labels": _metadata(app)["labels"],
                    "annotations": {POD_HASH: digest(pod)},
                },
                "spec": pod,
            },
        },
    }


def _pod(app: App, config: Object | None) -> dict[str, Any]:
    """The pod: it cannot write but to /tmp, has no rights, and knows no other service's address.

    Each config file is mounted by itself (``subPath``), so what the image has beside it stays.
    """
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if config:
        volumes.append({"name": "config", "configMap": {"name": config["metadata"]["name"]}})
        mounts += [
            {"name": "config", "mountPath": file["path"], "subPath": key, "readOnly": True}
            for key, file in _config_keys(app).items()
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
        "env": [{"name": name, "value": value} for name, value in sorted(app["env"].items())],
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


def _minions(app: App, ingress_class: str) -> list[Object]:
    """The app's paths on its host: a minion Ingress for each different rewrite.

    ``nginx.org/rewrites`` names a service and holds for all paths of one minion, so paths that
    are rewritten differently cannot share one.
    """
    ingress = app["ingress"]
    rules: list[Mapping[str, Any]] = ingress["rules"] if ingress else []
    rewrites = dict.fromkeys(rule["rewrite"] for rule in rules)
    backend = {"service": {"name": app["name"], "port": {"number": SERVICE_PORT}}}
    return [
        {
            "apiVersion": INGRESSES.api_version,
            "kind": INGRESSES.kind,
            "metadata": {
                **_metadata(app, f"{app['name']}.{number}" if number else None),
                "annotations": {
                    MERGEABLE: "minion",
                    **(
                        {REWRITES: f"serviceName={app['name']} rewrite={rewrite}"}
                        if rewrite
                        else {}
                    ),
                },
            },
            "spec": {
                "ingressClassName": ingress_class,
                "rules": [
                    {
                        "host": ingress["host"],
                        "http": {
                            "paths": [
                                {
                                    "path": rule["path"],
                                    "pathType": rule["path_type"],
                                    "backend": backend,
                                }
                                for rule in rules
                                if rule["rewrite"] == rewrite
                            ]
                        },
                    }
                ],
            },
        }
        for number, rewrite in enumerate(rewrites)
    ]

"""What the cluster has of an app: its Deployment and the ReplicaSets of its versions."""

from __future__ import annotations

from typing import Any

from slipway.apps.manifests.labels import NAME, OWN
from slipway.kube.client import Object
from slipway.kube.workloads import REVISION

REPOSITORY = "apps.slipway.internal/greeter"
FAILED = {"step": "build", "reason": "no"}


def ref(version: int) -> str:
    return f"{REPOSITORY}:main-{version}"


def workload(
    kind: str, name: str, image: str, revision: int = 0, replicas: int = 0, owner: str = "greeter"
) -> Object:
    return {
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "greeter-main",
            "labels": {NAME: owner, **OWN},
            "annotations": {REVISION: str(revision)},
        },
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"replicas": replicas} if replicas else {},
    }


def deployment(version: int) -> Object:
    return workload("Deployment", "greeter", ref(version), replicas=1)


def replica_set(version: int, revision: int, replicas: int = 0, **more: Any) -> Object:
    return workload("ReplicaSet", f"greeter-{version}", ref(version), revision, replicas, **more)

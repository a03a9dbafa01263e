"""Whether a namespace can be used, and what is left in one that is to go: that keeps it."""

from __future__ import annotations

from collections.abc import Iterable

from slipway.kube.client import (
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    Kube,
    Object,
)

KEEPING = (DEPLOYMENTS, STATEFUL_SETS, PODS, SERVICES, CONFIG_MAPS, SECRETS, VOLUME_CLAIMS)
"""Kinds of which one object keeps a namespace alive."""

_MAKERS = {REPLICA_SETS.kind: DEPLOYMENTS.kind, JOBS.kind: CRON_JOBS.kind}
"""The kinds of what makes others."""

GIVEN = "kube-root-ca.crt"
"""What every namespace gets from Kubernetes itself."""


def usable(found: Object | None) -> bool:
    """Whether a namespace exists and is not being deleted."""
    return found is not None and found.get("status", {}).get("phase") == "Active"


def remaining(kube: Kube, namespace: str, removed: Iterable[Object]) -> list[Object]:
    """What keeps a namespace alive of which objects were just ``removed``.

    Those may still be there, as may the pods that they made.
    """
    gone = {(obj["kind"], obj["metadata"]["name"]) for obj in removed}
    return [
        obj
        for resource in KEEPING
        for obj in kube.list(resource, namespace=namespace).items
        if obj["metadata"]["name"] != GIVEN and gone.isdisjoint(_origins(obj))
    ]


def titles(objects: Iterable[Object]) -> str:
    """Objects of one namespace as a message names them: ``Pod a, Secret b``."""
    return ", ".join(f"{obj['kind']} {obj['metadata']['name']}" for obj in objects)


def _origins(obj: Object) -> set[tuple[str, str]]:
    """An object and its owners; a pod has its Deployment by way of a ReplicaSet.

    The ReplicaSet is named after the Deployment, with a hash behind, and a Job of a schedule after
    its CronJob, with the time.
    """
    metadata = obj["metadata"]
    owners = {(owner["kind"], owner["name"]) for owner in metadata.get("ownerReferences", [])}
    makers = {(_MAKERS[kind], name.rpartition("-")[0]) for kind, name in owners if kind in _MAKERS}
    return {(obj["kind"], metadata["name"]), *owners, *makers}

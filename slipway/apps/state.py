"""What of Slipway's is in the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slipway.apps.manifests.labels import OWN_SELECTOR
from slipway.kube import APPLIED, NAMESPACES, Kube, Object

Key = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass(frozen=True)
class State:
    """What of Slipway's is in the cluster, and every namespace there is."""

    namespaces: Mapping[str, Object]
    objects: Mapping[Key, Object]


def read_state(kube: Kube) -> State:
    """Read all that the decision needs; what is being deleted counts as gone."""
    namespaces = {item["metadata"]["name"]: item for item in kube.list(NAMESPACES).items}
    objects = (
        obj
        for resource in APPLIED
        if resource is not NAMESPACES
        for obj in kube.list(resource, labels=OWN_SELECTOR).items
        if "deletionTimestamp" not in obj["metadata"]
        and usable(namespaces.get(obj["metadata"]["namespace"]))
    )
    return State(namespaces, by_key(objects))


def usable(found: Object | None) -> bool:
    """Whether a namespace exists and is not being deleted."""
    return found is not None and found["status"]["phase"] == "Active"


def key_of(obj: Object) -> Key:
    """What tells an object from all others."""
    metadata = obj["metadata"]
    return obj["kind"], metadata.get("namespace", ""), metadata["name"]


def by_key(objects: Iterable[Object]) -> dict[Key, Object]:
    return {key_of(obj): obj for obj in objects}

"""The cluster as a whole: its nodes, and the add-ons that manifests describe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.kube import Kube, Object, Resource

NODES = Resource("v1", "Node", "nodes", namespaced=False)

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"

POLL_SECONDS = 0.5


def nodes_of(kube: Kube) -> dict[str, dict[str, Any]]:
    """Every node by name: ``pod_cidr``, ``address``, ``ready`` and, if not, the ``reason``."""
    found = {}
    for node in kube.list(NODES).items:
        status = node["status"]
        ready: Mapping[str, str] = next(
            (each for each in status.get("conditions", []) if each["type"] == "Ready"), {}
        )
        found[node["metadata"]["name"]] = {
            "pod_cidr": node["spec"].get("podCIDR", ""),
            "address": next(
                (a["address"] for a in status.get("addresses", []) if a["type"] == "InternalIP"), ""
            ),
            "ready": ready.get("status") == "True",
            "reason": ready.get("message", "the kubelet has not reported yet"),
        }
    return found


_WANTED: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "pod_cidr": lambda node: bool(node["pod_cidr"]),
    "ready": lambda node: bool(node["ready"]),
}


def wait_for_nodes(
    kube: Kube, names: Sequence[str], wanted: str, timeout: float
) -> dict[str, dict[str, Any]]:
    """Wait until every node of ``names`` is ``ready`` or has a ``pod_cidr``; return all nodes.

    Raises SlipwayError after ``timeout`` seconds, with the reason that each node gives.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = nodes_of(kube)
        lacking = [name for name in names if name not in found or not _WANTED[wanted](found[name])]
        if not lacking:
            return found
        if time.monotonic() > deadline:
            reasons = {name: found.get(name, {}).get("reason", "is not there") for name in lacking}
            raise SlipwayError(
                Problem(f"node {name}", f"no {wanted} after {timeout:.0f} s: {reason}")
                for name, reason in reasons.items()
            )
        time.sleep(POLL_SECONDS)


class Manifests:
    """Objects of any kind, applied in their order, each kind looked up where the API keeps it."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: dict[str, list[Resource]] = {}

    def apply(self, objects: Sequence[Object], *, dry_run: bool = False) -> list[str]:
        """Apply the objects; return ``Kind/name`` of those that were not so already."""
        changed = []
        for obj in objects:
            before = self._get(obj)
            after = self._kube.apply_as(self._resource(obj), obj, dry_run=dry_run)
            versions = [
                (each or {}).get("metadata", {}).get("resourceVersion") for each in (before, after)
            ]
            if before is None or versions[0] != versions[1]:
                changed.append(f"{obj['kind']}/{obj['metadata']['name']}")
        return changed

    def _get(self, obj: Object) -> Object | None:
        metadata = obj["metadata"]
        resource = self._resource(obj)
        return self._kube.get(resource, metadata["name"], metadata.get("namespace"))

    def _resource(self, obj: Object) -> Resource:
        version = obj["apiVersion"]
        for refreshed in (False, True):  # a kind may have come with the objects before this one
            if refreshed or version not in self._known:
                self._known[version] = self._kube.resources(version)
            for resource in self._known[version]:
                if resource.kind == obj["kind"]:
                    return resource
        raise SlipwayError(Problem(f"{version} {obj['kind']}", "the API does not know this kind"))

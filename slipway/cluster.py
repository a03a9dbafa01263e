"""The cluster's nodes, as the API server knows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.kube import Kube, Resource, Unreachable

NODES = Resource("v1", "Node", "nodes", namespaced=False)

_PASSING = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Taints that go by themselves; an image may be needed as soon as they have gone."""

POLL_SECONDS = 0.5


def nodes_of(kube: Kube) -> dict[str, dict[str, Any]]:
    """Every node by name.

    Of each: ``pod_cidr``, ``address``, ``labels``, whether pods without tolerations may be put
    there (``schedulable``), whether it is ``ready`` and, if not, the ``reason``.
    """
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
            "labels": node["metadata"].get("labels", {}),
            "schedulable": not any(
                taint["effect"] in ("NoSchedule", "NoExecute") and taint["key"] not in _PASSING
                for taint in node["spec"].get("taints", [])
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

    An API server that is still starting is waited for too. Raises SlipwayError after ``timeout``
    seconds, with the reason that each node gives.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            found = nodes_of(kube)
            lacking = [n for n in names if n not in found or not _WANTED[wanted](found[n])]
            if not lacking:
                return found
            reasons = {name: found.get(name, {}).get("reason", "is not there") for name in lacking}
            problem = SlipwayError(
                Problem(f"node {name}", f"no {wanted} after {timeout:.0f} s: {reason}")
                for name, reason in reasons.items()
            )
        except Unreachable as error:
            problem = error
        if time.monotonic() > deadline:
            raise problem
        time.sleep(POLL_SECONDS)

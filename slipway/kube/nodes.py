"""The cluster's nodes, as the API server knows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.kube.client import NODES, Kube, Unreachable

_PASSING = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Taints that go by themselves; an image may be needed as soon as they have gone."""

POLL_SECONDS = 0.5


def nodes_of(kube: Kube) -> dict[str, dict[str, Any]]:
    """Every node by name.

    Of each: ``pod_cidr``, ``address``, ``labels``, the ``version`` of its kubelet, whether pods
    without tolerations may be put there (``schedulable``), whether it is ``ready`` and, if not,
    the ``reason``.
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
            "version": status.get("nodeInfo", {}).get("kubeletVersion", ""),
            "schedulable": not any(
                taint["effect"] in ("NoSchedule", "NoExecute") and taint["key"] not in _PASSING
                for taint in node["spec"].get("taints", [])
            ),
            "ready": ready.get("status") == "True",
            "reason": ready.get("message", "the kubelet has not reported yet"),
        }
    return found


def mismatches(
    kube: Kube, version: str, nodes: Mapping[str, str], control_plane: Sequence[str]
) -> list[Problem]:
    """Why a run must not work on the cluster that answers; empty when it may.

    ``nodes`` are the inventory's, with their addresses. The cluster has to have one of those that
    are named as ``control_plane``, or no node at all yet, and its API server and the kubelets of
    ``nodes`` have to be of ``version``.
    """
    found = nodes_of(kube)
    addresses = {name: node["address"] for name, node in found.items()}
    wanted = {name: nodes[name] for name in control_plane if name in nodes}
    if found and wanted and not addresses.items() & wanted.items():
        named = ", ".join(f"{name} at {address}" for name, address in wanted.items())
        fix = (
            "give the inventory's cluster a slipway_cluster_name, and so a kubeconfig, of its own; "
            "or set name and node_address of its control plane back"
        )
        what = f"is not the inventory's cluster: it has no node {named}"
        return [Problem(f"cluster {kube.server}", what, fix)]
    running = {"the API server": kube.version()}
    running.update((f"the kubelet of {n}", found[n]["version"]) for n in nodes if n in found)
    others = [f"{what} is {has}" for what, has in running.items() if has not in ("", f"v{version}")]
    if not others:
        return []
    fix = (
        "set it to the cluster's, as Slipway neither upgrades nor downgrades one; or make the "
        "cluster anew (make down, make up)"
    )
    what = f"{version} is not what the cluster runs: {', '.join(others)}"
    return [Problem("slipway_versions.kubernetes", what, fix)]


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

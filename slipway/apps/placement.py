"""Which images a node needs: those of the pods that the scheduler may put on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from slipway.architecture import Architecture

Node = Mapping[str, Any]
"""A node as :func:`slipway.kube.nodes.nodes_of` has it."""

ARCHITECTURE = "kubernetes.io/arch"
"""The label by which a node says which processor it has."""


class Pods(Protocol):
    """Pods that are to run an image on nodes with these labels."""

    @property
    def image(self) -> str:
        """The image."""

    @property
    def node_selector(self) -> dict[str, str]:
        """The labels."""

    @property
    def tolerant(self) -> bool:
        """Whether they may be on nodes that take no pods without tolerations."""


def place(pods: Collection[Pods], nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """By node, the images of the pods that may run there, sorted."""
    return {
        name: sorted({each.image for each in pods if _may_get(each, node)})
        for name, node in nodes.items()
    }


def _may_get(pods: Pods, node: Node) -> bool:
    """Whether the scheduler may put pods on the node, or somebody else, if they are tolerant."""
    return may_run(pods.node_selector, {**node, "schedulable": True} if pods.tolerant else node)


def architecture_of(node: Node) -> str:
    """Which processor a node has: this machine's if it does not say."""
    return str(node["labels"].get(ARCHITECTURE, Architecture.here()))


def may_run(node_selector: Mapping[str, str], node: Node) -> bool:
    """Whether the scheduler may put pods with a node selector on the node."""
    return bool(node["schedulable"]) and node_selector.items() <= node["labels"].items()

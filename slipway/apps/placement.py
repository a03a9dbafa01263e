"""Which images a node needs: those of the pods that the scheduler may put on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from slipway.apps.app import App

Node = Mapping[str, Any]
"""A node as :func:`slipway.kube.nodes.nodes_of` has it."""


def place(apps: Collection[App], nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """By node, the images of the apps whose pods may run there, sorted.

    Apps that failed before have no image that is to run, and are left out.
    """
    runnable = [app for app in apps if app.get("image") and "failed" not in app]
    return {
        name: sorted({app["image"] for app in runnable if may_run(app, node)})
        for name, node in nodes.items()
    }


def may_run(app: App, node: Node) -> bool:
    """Whether the scheduler may put the app's pods on the node."""
    wanted: Mapping[str, str] = app["node_selector"]
    return bool(node["schedulable"]) and wanted.items() <= node["labels"].items()

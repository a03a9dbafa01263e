"""Which images a node needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def images_for_node(apps: Sequence[Mapping[str, Any]], node: Mapping[str, Any]) -> list[str]:
    """The images of the apps whose pods the scheduler may put on the node.

    ``node`` is as the role cluster_nodes has it: its ``labels``, and whether it is
    ``schedulable``. Apps that failed before have no image and are left out.
    """
    if not node["schedulable"]:
        return []
    labels = node["labels"]
    return sorted(
        {
            app["image"]
            for app in apps
            if app.get("image") and not app.get("failed")
            if all(labels.get(name) == value for name, value in app["node_selector"].items())
        }
    )


class FilterModule:
    """Ansible's way to the filter."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Filters by name."""
        return {"images_for_node": images_for_node}

"""What a machine is: see ``plugins/modules/node_look.py`` for the documentation."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    """Has the machine looked at, there."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what the machine is, or what stands in the way of a node."""
        return self.on_node("node_look", args, task_vars)

"""A machine without what Slipway put there: see ``plugins/modules/node_reset.py``."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    """Has what Slipway put on a machine taken off it."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what was removed, and what is back."""
        return self.on_node("node_reset", args, task_vars)

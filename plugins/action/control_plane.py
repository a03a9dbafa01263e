"""A control plane as its configuration says: see ``plugins/modules/control_plane.py``."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    """Has the control plane brought to its configuration, there."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return which static pods were started anew."""
        return self.on_node("control_plane", args, task_vars)

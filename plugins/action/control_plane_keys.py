"""What control planes have in common: see ``plugins/modules/control_plane_keys.py``."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    """Has a control plane give what others need to join it."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the keys; a task does not show them at any verbosity."""
        self._play_context.no_log = True
        return self.on_node("control_plane_keys", args, task_vars)

"""Why an API server does not answer: see ``plugins/modules/api_server_report.py``."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    """Has the node of an API server asked about it."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of it."""
        return self.on_node("api_server_report", args, task_vars)

"""A kubelet that asks anew: see ``plugins/modules/kubelet_bootstrap.py``."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    """Has the kubelet ask for a certificate, there."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return whether it had to."""
        return self.on_node("kubelet_bootstrap", args, task_vars)

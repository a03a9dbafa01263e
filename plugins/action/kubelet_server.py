"""Which API server a kubelet asks: see ``plugins/modules/kubelet_server.py``."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    """Has a kubelet ask it, there."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return whether it asked another one before."""
        return self.on_node("kubelet_server", args, task_vars)

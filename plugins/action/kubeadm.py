"""A bare machine becomes a node: see ``plugins/modules/kubeadm.py``."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    """Has kubeadm carried out there."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what came of it."""
        return self.on_node("kubeadm", args, task_vars)

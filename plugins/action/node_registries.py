"""Registries of a node: see ``plugins/modules/node_registries.py`` for the documentation."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.nodes.registries import FOLDER, files, registries


class ActionModule(SlipwayAction):
    """Has the files of containerd's registries on the node."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """One program there compares them and puts them in place."""
        wanted = {
            "files": files(registries(args["registries"], args["secrets"])),
            "owned": [FOLDER],
            "absent": [],
            "units": [],
            "undo": [],
            "role": str(task_vars.get("role_name", "")),
        }
        result = self.on_node("node_config", wanted, task_vars)
        return {name: value for name, value in result.items() if name not in ("to_send", "units")}

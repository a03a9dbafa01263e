"""What the API server says: see ``plugins/modules/cluster_state.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.errors import SlipwayError
from slipway.kube.client import Kube
from slipway.kube.nodes import nodes_of, wait_for_nodes


class ActionModule(SlipwayAction):
    """Asks for the nodes once, or waits until all that are named are as wanted."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return whether the API answers, and the nodes by name."""
        kubeconfig = Path(args["kubeconfig"])
        if args["wait_for"] != "nothing" and not self.check_mode:
            with Kube(kubeconfig) as kube:
                found = wait_for_nodes(kube, args["nodes"], args["wait_for"], args["timeout"])
            return {"changed": False, "answers": True, "nodes": found}
        try:
            with Kube(kubeconfig) as kube:
                return {"changed": False, "answers": True, "nodes": nodes_of(kube)}
        except SlipwayError as error:
            return {"changed": False, "answers": False, "nodes": {}, "reason": str(error)}

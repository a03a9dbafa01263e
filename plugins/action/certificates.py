"""Certificates of a control plane: see ``plugins/modules/certificates.py``."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    """Has them made anew there, and says why."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what was started anew, and when the first of the certificates ends or ended."""
        result = self.on_node("certificates", args, task_vars)
        doing = "would be" if self.check_mode else "are"
        whose = f"certificates of {args['node']}"
        if result.get("last") and result["ended"]:
            refused = f"ended on {result['last']}, and who has one is refused"
            self.say(f"{whose} {refused}: they {doing} made anew")
        elif result.get("last"):
            self.say(f"{whose} end on {result['last']}: they {doing} made anew")
        elif result.get("changed"):
            self.say(
                f"{whose} were made anew by a run that was ended: what has them {doing} started"
            )
        return result

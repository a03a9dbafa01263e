"""Deploy the apps: see ``plugins/modules/apps_deploy.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from slipway.ansible_support import SlipwayAction
from slipway.apps.deploy import deploy, render_change
from slipway.kube import Kube


class ActionModule(SlipwayAction):
    """Makes the apps in the cluster equal to their records."""

    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "kubeconfig": {"type": "path", "required": True},
        "apps": {"type": "list", "elements": "dict", "required": True},
        "ingress_class": {"type": "str", "default": "nginx"},
        "timeout": {"type": "int", "default": 300},
    }

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the records with their failures, and the differences if they are asked for."""
        kubeconfig = Path(args["kubeconfig"])
        if self.check_mode and not kubeconfig.exists():
            return {"changed": bool(args["apps"]), "apps": args["apps"]}
        with Kube(kubeconfig) as kube:
            outcome = deploy(
                kube,
                args["apps"],
                args["ingress_class"],
                seconds=args["timeout"],
                say=self.say,
                dry_run=self.check_mode,
            )
        result = {"changed": outcome.changed, "apps": outcome.apps}
        if self.diff_mode:
            result["diff"] = [render_change(change) for change in outcome.changes]
        return result

"""Prove that the apps answer: see ``plugins/modules/apps_verify.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from slipway.ansible_support import SlipwayAction
from slipway.apps.verify import prove
from slipway.kube import Kube


class ActionModule(SlipwayAction):
    """Asks every route and shows the table of all apps."""

    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "kubeconfig": {"type": "path", "required": True},
        "apps": {"type": "list", "elements": "dict", "required": True},
        "address": {"type": "str"},
        "timeout": {"type": "int", "default": 60},
    }

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the table; fails with the reason of every app that failed at any step."""
        if self.check_mode:  # what is not deployed yet cannot answer
            return {"changed": False, "apps": args["apps"], "table": []}
        with Kube(Path(args["kubeconfig"])) as kube:
            proof = prove(kube, args["apps"], address=args["address"], seconds=args["timeout"])
        for line in proof.table:
            self.say(line)
        proof.require()
        return {"changed": False, "apps": proof.apps, "table": proof.table}

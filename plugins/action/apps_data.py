"""Save and load data: see ``plugins/modules/apps_data.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.deploy.data import find, load, look, save
from slipway.apps.volumes.archive import check_new
from slipway.apps.volumes.helper import Helper
from slipway.kube.client import Kube

COMMANDS = {"saved": "make data-save", "loaded": "make data-load"}
"""By what a user wants each state."""


class ActionModule(SlipwayAction):
    """Writes the data of a volume to a file, or has that of a file in it."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the claim that it was about."""
        kubeconfig, path = Path(args["kubeconfig"]), Path(args["file"]).absolute()
        to_file = args["state"] == "saved"
        if to_file:
            check_new(path)
        found = None if to_file else look(path, self.say)
        with Kube(kubeconfig) as kube:
            command = COMMANDS[args["state"]]
            stored = find(kube, args["app"], args["branch"], args["volume"], command=command)
            helper = Helper.with_bundle(
                kube, Path(args["bundle"]), kubeconfig, args["image"], self.say
            )
            if not self.check_mode and found:
                load(stored, helper, path, found, args["timeout"])
                self.say(f"{stored.title}: has the data of {path}")
            elif not self.check_mode:
                save(stored, helper, path, args["timeout"])
                self.say(f"{stored.title}: saved to {path}, {path.stat().st_size >> 10} KiB")
        return {"changed": True, "claim": f"{stored.volume.namespace}/{stored.volume.name}"}

"""An add-on of the cluster: see ``plugins/modules/addon.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.errors import SlipwayError
from slipway.kube.apply import Applier, documents
from slipway.kube.client import Kube, Unreachable
from slipway.kube.serving import certified
from slipway.kube.workloads import patient


class ActionModule(SlipwayAction):
    """Applies manifests and, if asked, waits until their workloads run; or removes them."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what was (or would be) applied or removed because it was not so already."""
        present = args["state"] == "present"
        files = [Path(name) for name in args["files"]]
        if self.check_mode and not all(file.exists() for file in files):
            return {"changed": True, "applied": [], "msg": "manifests are still to be made"}
        texts = [*(file.read_text(encoding="utf-8") for file in files), *args["manifests"]]
        objects = [patient(obj) for text in texts for obj in documents(text)]
        try:
            with Kube(Path(args["kubeconfig"])) as kube:
                applier = Applier(kube, args["timeout"])
                objects = certified(kube, objects)
                if present:
                    changed = applier.apply(objects, dry_run=self.check_mode)
                else:
                    changed = applier.remove(objects, self.say, dry_run=self.check_mode)
                if present and args["wait"] and not self.check_mode:
                    applier.wait(objects)
        except SlipwayError as error:
            # Before there is a cluster, a check can only say that nothing is there yet.
            missing = not Path(args["kubeconfig"]).exists() or isinstance(error, Unreachable)
            if not (self.check_mode and missing):
                raise
            names = [f"{obj['kind']}/{obj['metadata']['name']}" for obj in objects]
            changed = names if present else []
        return {"changed": bool(changed), ("applied" if present else "removed"): changed}

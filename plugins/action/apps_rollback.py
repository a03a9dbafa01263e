"""Go back to the version before: see ``plugins/modules/apps_rollback.py`` for the documentation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.app import save
from slipway.apps.deploy.rollback import carry_out, find
from slipway.apps.environments import status as notes
from slipway.apps.manifests.labels import owner_of
from slipway.cache.layout import CacheLayout
from slipway.kube.client import Kube
from slipway.oci import ImageStore


class ActionModule(SlipwayAction):
    """Has a Deployment run the pod of its ReplicaSet before."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return where it goes from and to, and the image that nodes need."""
        with Kube(Path(args["kubeconfig"])) as kube:
            rollback = find(kube, args["app"], args["branch"])
            app_id = owner_of(rollback.deployment)
            if not self.check_mode:
                self.say(f"{app_id}: from {rollback.was} back to {rollback.becomes}")
                carry_out(kube, rollback, seconds=args["timeout"], say=self.say)
                notes.settle(kube, app_id)
                self.say(
                    f"{app_id}: back at what apps.yml says"
                    if rollback.ends_hold
                    else f"{app_id}: held there until a new commit or other settings come"
                )
        image = rollback.becomes.image
        stores = map(ImageStore, CacheLayout(Path(args["cache"])).image_stores())
        stored = any(store.get(image) for store in stores)
        return {
            "changed": True,
            "was": asdict(rollback.was),
            "becomes": asdict(rollback.becomes),
            "apps": save([rollback.wanted_on_nodes] if stored else [], self.run_folder),
        }

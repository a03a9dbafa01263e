"""Checks before any change: see ``plugins/modules/preflight.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway import preflight
from slipway.action_plugin import SlipwayAction
from slipway.errors import SlipwayError


class ActionModule(SlipwayAction):
    """Looks at everything that was written before anything is made of it."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Fail with every problem of inventory, cluster and apps.yml, or change nothing."""
        path, secrets = Path(args.pop("apps_file")), args.pop("secrets")
        kubeconfig, version = args.pop("kubeconfig"), args.pop("version")
        workers = args.pop("workers")
        inventory = preflight.Inventory(**args)
        found = preflight.groups(inventory.nodes, inventory.control_plane, workers)
        found += preflight.addresses(inventory)
        if kubeconfig:
            found += preflight.running_cluster(Path(kubeconfig), inventory, version)
        found += preflight.apps_file(path, secrets)
        if found:
            raise SlipwayError(found)
        return {"changed": False}

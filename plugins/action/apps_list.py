"""List all environments: see ``plugins/modules/apps_list.py`` for the documentation."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.environments.rows import as_table, rows
from slipway.apps.manifests.labels import ENVIRONMENTS, OWN_SELECTOR, ROUTES_NAMESPACE
from slipway.kube.client import CONFIG_MAPS, DEPLOYMENTS, RESOURCE_QUOTAS, Kube


class ActionModule(SlipwayAction):
    """Shows a line for each environment of the cluster."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the environments and the table of them."""
        with Kube(Path(args["kubeconfig"])) as kube:
            deployments = kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items
            notes = kube.get(CONFIG_MAPS, ENVIRONMENTS, ROUTES_NAMESPACE)
            quotas = kube.list(RESOURCE_QUOTAS, labels=OWN_SELECTOR).items
        found = rows(deployments, notes, quotas)
        table = as_table(found, datetime.now(UTC))
        self.say(*table)
        return {"changed": False, "environments": [asdict(row) for row in found], "table": table}

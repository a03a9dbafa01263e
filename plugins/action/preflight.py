"""Checks before any change: see ``plugins/modules/preflight.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from slipway import preflight
from slipway.action_plugin import SlipwayAction
from slipway.errors import SlipwayError
from slipway.secrets import Secrets


class ActionModule(SlipwayAction):
    """Looks at everything that was written before anything is made of it."""

    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "apps_file": {"type": "path", "required": True},
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "nodes": {"type": "dict", "required": True},
        "control_plane": {"type": "list", "elements": "str", "required": True},
        "workers": {"type": "list", "elements": "str", "default": []},
        "pool": {"type": "list", "elements": "str", "required": True},
        "pod_subnet": {"type": "str", "required": True},
        "service_subnet": {"type": "str", "required": True},
        "segment": {"type": "str", "default": ""},
        "kubeconfig": {"type": "path"},
        "version": {"type": "str"},
    }

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Fail with every problem of inventory, cluster and apps.yml, or change nothing."""
        path, secrets = Path(args.pop("apps_file")), Secrets(args.pop("secrets"))
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

"""Place the images: see ``plugins/modules/apps_place.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.app import load_environments, placeable
from slipway.apps.environments.retention import serving
from slipway.apps.manifests.labels import OWN_SELECTOR
from slipway.apps.placement import architecture_of, place
from slipway.cache.layout import CacheLayout
from slipway.kube.client import REPLICA_SETS, Kube, Unreachable
from slipway.kube.nodes import nodes_of
from slipway.kube.objects import grouped
from slipway.oci import ImageStore


class ActionModule(SlipwayAction):
    """Asks the cluster for its nodes and for what its pods have now."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the nodes, and the images that each of them needs."""
        kubeconfig, apps = Path(args["kubeconfig"]), load_environments(args["apps"])
        nowhere = {"changed": False, "nodes": {}, "images": {}}
        if self.check_mode and not kubeconfig.exists():
            return nowhere
        try:
            with Kube(kubeconfig) as kube:
                nodes = nodes_of(kube)
                replica_sets = kube.list(REPLICA_SETS, labels=OWN_SELECTOR).items
        except Unreachable:
            if self.check_mode:
                return nowhere
            raise
        cache = CacheLayout(Path(args["cache"]))
        images: dict[str, list[str]] = {}
        for kind, alike in grouped(nodes, lambda name: architecture_of(nodes[name])).items():
            stored = ImageStore(cache.images_of(kind)).images()
            now = [pods for pods in serving(apps, replica_sets) if pods.image in stored]
            images |= place([*placeable(apps), *now], {name: nodes[name] for name in alike})
        return {"changed": False, "nodes": nodes, "images": images}

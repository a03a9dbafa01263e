"""People and their rights: see ``plugins/modules/people.py`` for the documentation."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.deploy.deploy import render_change
from slipway.apps.manifests.labels import NAME, OWN_SELECTOR, is_app
from slipway.kube.client import DEPLOYMENTS, Kube
from slipway.people import keep, namespaces, people, unknown


class ActionModule(SlipwayAction):
    """Has each namespace know who may do what there."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the bindings and roles that are (or would be) written or removed."""
        everybody, kubeconfig = people(args["people"]), Path(args["kubeconfig"])
        if self.check_mode and not kubeconfig.exists():
            return {"changed": bool(everybody), "objects": []}
        with Kube(kubeconfig) as kube:
            environments = _environments(kube)
            changes = keep(kube, everybody, environments, dry_run=self.check_mode)
        self.say(*unknown(everybody, environments))
        objects = [each.after or each.before or {} for each in changes]
        result: dict[str, Any] = {
            "changed": bool(changes),
            "objects": [f"{each['kind']}/{each['metadata']['name']}" for each in objects],
        }
        if self.diff_mode:
            result["diff"] = [render_change(each) for each in changes]
        return result


def _environments(kube: Kube) -> dict[str, set[str]]:
    """The namespaces with the apps that are in each, as the cluster has them now."""
    found: dict[str, set[str]] = defaultdict(set, {name: set() for name in namespaces(kube)})
    for deployment in filter(is_app, kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items):
        metadata = deployment["metadata"]
        if metadata["namespace"] in found:
            found[metadata["namespace"]].add(metadata["labels"][NAME])
    return found

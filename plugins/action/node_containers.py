"""Nodes as containers: see ``plugins/modules/node_containers.py`` for the documentation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.nodes import containers
from slipway.nodes import image as node_image


class ActionModule(SlipwayAction):
    """Has the network, the node image and the containers, or removes them."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the names of what was made, started or removed."""
        client = containers.connect()
        cluster = args["cluster"]
        if args["state"] == "absent":
            found = containers.of_cluster(client, cluster)
            if not self.check_mode:
                containers.remove(found)
            return {"changed": bool(found), "removed": [each.name for each in found]}
        nodes = [
            containers.Node(name, address, _ports(args["ports"].get(name, {})))
            for name, address in args["nodes"].items()
        ]
        if self.check_mode:
            missing = containers.missing_nodes(client, nodes)
            return {"changed": bool(missing), "touched": missing, "missing": missing}
        of_bundle = (client, Path(args["bundle"]), args["image"], self.say)
        image = partial(node_image.bare, *of_bundle)
        if args["images"]:
            image = partial(node_image.preloaded, *of_bundle, args["images"])
        made = containers.ensure_network(client, cluster, args["subnet"])
        resolv_conf = containers.resolv_conf(args["resolv_conf"])
        touched = containers.ensure_nodes(
            client, cluster, nodes, image, resolv_conf=resolv_conf, say=self.say
        )
        return {"changed": made or bool(touched), "touched": touched, "missing": []}


def _ports(given: dict[str, Any]) -> dict[int, int]:
    """Ports by ports, which JSON has as text."""
    return {int(own): int(here) for own, here in given.items()}

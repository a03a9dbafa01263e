"""Prove that the apps answer: see ``plugins/modules/apps_verify.py`` for the documentation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.app import load, save
from slipway.apps.boundary import tried
from slipway.apps.environments.status import note_proof
from slipway.apps.verify import prove
from slipway.control_node import kubeconfig, localhost
from slipway.control_node.hosts_file import name_lines, unresolved
from slipway.control_node.localhost import is_here
from slipway.kube.client import Kube


class ActionModule(SlipwayAction):
    """Asks every route and shows the table of all apps."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the apps, the table, and the reason of every app that failed at any step."""
        if self.check_mode:  # what is not deployed yet cannot answer
            return {
                "changed": False,
                "apps": args["apps"],
                "failures": [],
                "table": [],
                "names": [],
            }
        secrets, ports = args["secrets"], args["ports"]
        with Kube(Path(args["kubeconfig"])) as kube:
            proof = prove(
                kube,
                load(args["apps"]),
                secrets=secrets,
                ca_dir=Path(args["ca_dir"]),
                address=args["address"],
                ports=ports,
                seconds=args["timeout"],
            )
            # The list of environments may be behind; what answers is told all the same.
            unnoted = tried(note_proof, kube, proof.apps, secrets.redact)
        table = [secrets.redact(line) for line in proof.table]
        self.say(*table)
        if unnoted:
            self.say(f"not noted for the list of environments: {unnoted}")
        addresses = dict(proof.addresses)
        if dashboard := args["dashboard_host"]:
            self.say(f"All environments: {localhost.url('http', dashboard, '/', ports)}")
            addresses[dashboard] = next(filter(None, proof.addresses.values()), "")
        self.say(*_ending(Path(args["kubeconfig"])))
        here = {host for host, address in addresses.items() if address and is_here(host, ports)}
        addresses |= dict.fromkeys(here, localhost.ADDRESS)
        # Those that are here, browsers and curl know by themselves.
        asked = {host: address for host, address in addresses.items() if host not in here}
        if args["tell_names"] and (unknown := name_lines(unresolved(asked))):
            heading = "This machine does not know these names; for /etc/hosts (or: make hosts):"
            self.say("", heading, *unknown)
        return {
            "changed": False,
            "apps": save(proof.apps, self.run_folder),
            "failures": [secrets.redact(str(problem)) for problem in proof.problems()],
            "table": table,
            "names": name_lines(addresses),
        }


def _ending(path: Path) -> list[str]:
    """A line about the cluster's certificates where they end soon: this machine has one of them."""
    end = kubeconfig.ends(path).get("certificate")
    if end is None or end - datetime.now(UTC) >= kubeconfig.RENEWED_BEFORE:
        return []
    return [f"The cluster's certificates end on {end:%Y-%m-%d}: make up makes them anew"]

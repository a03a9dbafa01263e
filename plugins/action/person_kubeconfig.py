"""A kubeconfig for somebody: see ``plugins/modules/person_kubeconfig.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509

from slipway.action_plugin import SlipwayAction
from slipway.control_node import kubeconfig
from slipway.kube.access import admit
from slipway.kube.client import Kube
from slipway.people import LIFE, person


class ActionModule(SlipwayAction):
    """Has the cluster certify somebody, and writes what they need to speak to it."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the file, and until when it is good; what is in it never leaves this method."""
        who, own = person(args["people"], args["person"]), Path(args["kubeconfig"])
        path = kubeconfig.people_folder(own) / f"{who.name}.yaml"
        if self.check_mode:
            return {"changed": True, "path": str(path)}
        with Kube(own) as kube:
            pair = admit(kube, who.user, LIFE)
        document = kubeconfig.of_person(kubeconfig.read(own), args["name"], who.name, pair)
        kubeconfig.write(path, document)
        end = x509.load_pem_x509_certificate(pair.certificate.encode()).not_valid_after_utc
        self.say(f"{path} is {who.name}'s until {end:%Y-%m-%d %H:%M} UTC")
        return {"changed": True, "path": str(path), "until": f"{end:%Y-%m-%dT%H:%M:%SZ}"}

"""Certificates of kubelets: see ``plugins/modules/kubelet_certificates.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.errors import SlipwayError
from slipway.kube.client import Kube
from slipway.kube.kubelets import certify


class ActionModule(SlipwayAction):
    """Approves what kubelets ask for, and says which requests it leaves alone."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return whose requests were (or would be) approved."""
        try:
            with Kube(Path(args["kubeconfig"])) as kube:
                given, refused = certify(
                    kube, args["nodes"], args["timeout"], dry_run=self.check_mode
                )
        except SlipwayError:
            # Before there is a cluster, a check can only say that nobody asks yet.
            if not self.check_mode:
                raise
            given, refused = [], []
        self.say(*(f"a request for a certificate is left alone: {each}" for each in refused))
        return {"changed": bool(given), "approved": given}

"""Deploy the apps: see ``plugins/modules/apps_deploy.py`` for the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from slipway.action_plugin import SlipwayAction
from slipway.apps.app import App, load, save
from slipway.apps.builders.sandbox import Sandboxes
from slipway.apps.deploy.deploy import deploy, render_change
from slipway.apps.deploy.dry_run import Intent, before_the_cluster, table
from slipway.apps.deploy.helm import Helm, helm_program
from slipway.apps.environments.resolve import Leaving
from slipway.apps.manifests.network import Network
from slipway.apps.volumes.helper import Helper
from slipway.kube.client import Kube


class ActionModule(SlipwayAction):
    """Makes the apps in the cluster equal to what they are to be."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the apps with their failures, and the differences if they are asked for."""
        kubeconfig, apps = Path(args["kubeconfig"]), load(args["apps"])
        bundle = Path(args["bundle"])
        if self.check_mode and not kubeconfig.exists():
            shown = self._show(apps, before_the_cluster(apps), args)
            return {"changed": bool(apps), "apps": args["apps"], "table": shown}
        with Kube(kubeconfig) as kube:
            outcome = deploy(
                kube,
                apps,
                args["ingress_class"],
                secrets=args["secrets"],
                ca_dir=Path(args["ca_dir"]),
                seconds=args["timeout"],
                say=self.say,
                helm=Helm(helm_program(bundle), Sandboxes(bundle, args["helm_image"], self.say)),
                leaving=msgspec.convert(args["leaving"], list[Leaving]),
                ports=args["ports"],
                quota={name: str(value) for name, value in args["quota"].items()},
                helper=Helper.with_bundle(kube, bundle, kubeconfig, args["helper_image"], self.say),
                network=Network.of(kube, args["pod_subnet"], args["service_subnet"]),
                dry_run=self.check_mode,
            )
        result: dict[str, Any] = {
            "changed": outcome.changed,
            "apps": save(outcome.apps, self.run_folder),
        }
        if self.check_mode:
            result["table"] = self._show(outcome.apps, outcome.intents, args)
        if self.diff_mode:
            result["diff"] = [render_change(change) for change in outcome.changes]
        return result

    def _show(
        self, apps: Iterable[App], intents: Iterable[Intent], args: dict[str, Any]
    ) -> list[str]:
        """Show what a run would do with each app; return the lines."""
        found = table(apps, intents, args["pending"], args["nodes"], args["loaded"])
        shown = [self._secrets.redact(line) for line in found]
        self.say(*shown)
        return shown

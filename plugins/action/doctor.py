"""Checks before any change: see ``plugins/modules/doctor.py`` for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.plan.bounds import Bounds
from slipway.bundle.choice import chosen
from slipway.doctor.examine import Bundles, Wanted, examined
from slipway.doctor.findings import State, encoded, works
from slipway.doctor.report import warnings
from slipway.errors import SlipwayError
from slipway.on_node import machine_look
from slipway.preflight import Inventory


class ActionModule(SlipwayAction):
    """Looks at everything that was written, and at all machines, before anything is made of it."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Write a report, or show warnings and fail with every problem; change nothing."""
        report = args["report"]
        bundles = partial(chosen, args, say=self.say)
        findings = examined(_wanted(args, bundles, names=bool(report)), _look)
        if report:
            text = self._secrets.redact(encoded(findings).decode())
            Path(report).write_text(text, encoding="utf-8")
            return {"changed": False}
        if lines := warnings(findings):
            self.say(*lines)
        if not works(findings):
            raise SlipwayError(each.problem for each in findings if each.state is State.FAIL)
        return {"changed": False}


def _wanted(args: Mapping[str, Any], bundles: Bundles, *, names: bool) -> Wanted:
    inventory = Inventory(
        nodes=args["nodes"],
        control_plane=args["control_plane"],
        pool=args["pool"],
        pod_subnet=args["pod_subnet"],
        service_subnet=args["service_subnet"],
        segment=args["segment"],
        api=args["api"],
        load_balancers=args["load_balancers"],
    )
    return Wanted(
        cluster=args["cluster"],
        inventory=inventory,
        workers=args["workers"],
        apps_file=Path(args["apps_file"]),
        secrets=args["secrets"],
        kubeconfig=Path(args["kubeconfig"]),
        version=str(args["versions"]["kubernetes"]),
        cache=Path(args["cache"]),
        bundles=bundles,
        kept=[Path(each) for each in args["kept"]],
        tools=args["tools"],
        inventories=[Path(each) for each in args["inventories"]],
        variables=[Path(args["project"], "group_vars")],
        nodes=args["machines"],
        domain=args["domain"],
        bounds=Bounds.of(args),
        ports=args["ports"],
        registries=args["registries"],
        people=args["people"],
        routed=args["routed"],
        resolv_conf=args["resolv_conf"],
        names=names,
    )


def _look(places: Mapping[str, str]) -> Mapping[str, Any]:
    """The facts of this machine, without the time that a module takes to start."""
    return machine_look.look({"places": dict(places), "address": "", "addresses": [], "ways": []})

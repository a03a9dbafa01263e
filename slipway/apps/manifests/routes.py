"""An app's routes: its paths as minion Ingresses of a host's master."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slipway.apps.manifests.labels import OWN, ROUTES_NAMESPACE, SERVICE_PORT, metadata
from slipway.apps.records import App
from slipway.kube import INGRESSES, Object
from slipway.objects import sealed

MERGEABLE = "nginx.org/mergeable-ingress-type"
REWRITES = "nginx.org/rewrites"


def hosts(apps: Iterable[App]) -> list[str]:
    """The hosts that apps have routes on."""
    return sorted(
        {rule["host"] for app in apps if app["ingress"] for rule in app["ingress"]["rules"]}
    )


def master(host: str, ingress_class: str) -> Object:
    """The master Ingress of a host: it holds the host, the apps' minions hold the paths."""
    return sealed(
        {
            "apiVersion": INGRESSES.api_version,
            "kind": INGRESSES.kind,
            "metadata": {
                "name": host,
                "namespace": ROUTES_NAMESPACE,
                "labels": dict(OWN),
                "annotations": {MERGEABLE: "master"},
            },
            "spec": {"ingressClassName": ingress_class, "rules": [{"host": host}]},
        }
    )


def minions(app: App, ingress_class: str) -> list[Object]:
    """The app's paths: a minion Ingress for each host and each different rewrite.

    ``nginx.org/rewrites`` names a service and holds for all paths of one minion, so paths that
    are rewritten differently cannot share one.
    """
    ingress = app["ingress"]
    rules: list[Mapping[str, Any]] = ingress["rules"] if ingress else []
    kinds = dict.fromkeys((rule["host"], rule["rewrite"]) for rule in rules)
    return [
        _minion(
            app,
            f"{app['name']}.{number}" if number else app["name"],
            [rule for rule in rules if (rule["host"], rule["rewrite"]) == kind],
            ingress_class,
        )
        for number, kind in enumerate(kinds)
    ]


def _minion(app: App, name: str, rules: list[Mapping[str, Any]], ingress_class: str) -> Object:
    """A minion of rules that have the host and the rewrite in common."""
    host, rewrite = rules[0]["host"], rules[0]["rewrite"]
    annotations = {MERGEABLE: "minion"}
    if rewrite:
        annotations[REWRITES] = f"serviceName={app['name']} rewrite={rewrite}"
    backend = {"service": {"name": app["name"], "port": {"number": SERVICE_PORT}}}
    paths = [
        {"path": rule["path"], "pathType": rule["path_type"], "backend": backend} for rule in rules
    ]
    return {
        "apiVersion": INGRESSES.api_version,
        "kind": INGRESSES.kind,
        "metadata": {**metadata(app, name), "annotations": annotations},
        "spec": {
            "ingressClassName": ingress_class,
            "rules": [{"host": host, "http": {"paths": paths}}],
        },
    }

"""At which ports and addresses an app is reached by others than the ingress controller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from slipway.apps.app import LOAD_BALANCER, NODE_PORT, Service
from slipway.apps.manifests.labels import HTTP, SERVICE_PORT
from slipway.apps.plan.branches import is_pattern
from slipway.apps.plan.places import Finding, Places, plain
from slipway.apps.plan.yaml_lines import Place

_SETTING = "service"


def mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Ports that are there twice, and what goes with no Service of this type or with no pattern."""
    service = msgspec.convert(settings_of(app), Service)
    if service.address and service.type != LOAD_BALANCER:
        fix = f"write type: {LOAD_BALANCER}, or remove it"
        yield places.finding((_SETTING, "address"), f"is for a {LOAD_BALANCER}", fix)
    for name, port in service.ports.items():
        if port.node_port and service.type != NODE_PORT:
            setting: Place = (_SETTING, "ports", name, "node_port")
            fix = f"write type: {NODE_PORT}, or remove it"
            yield places.finding(setting, f"is for a {NODE_PORT}", fix)
    yield from _doubled(places, service, has_routes=bool(app.get("ingress", {}).get("rules")))
    if is_pattern(app["git_branch"]):
        for setting, _ in taken(service):
            what = f"is the same for every branch of {app['git_branch']}"
            fix = "leave it out: each environment gets one of its own"
            yield places.finding(setting, what, fix)


def _doubled(places: Places, service: Service, *, has_routes: bool) -> Iterator[Finding]:
    """Ports of which a Service can have one alone."""
    first: dict[tuple[int, str], str] = {}
    if has_routes:
        first[SERVICE_PORT, "TCP"] = "that of its routes"
        if HTTP in service.ports:
            what = "is the name of the port that its routes lead to"
            yield places.finding((_SETTING, "ports", HTTP), what, "give it another name")
    for name, port in service.ports.items():
        there = first.setdefault((port.port, port.protocol), name)
        if there != name:
            what = f"{port.port} is also {there}"
            yield places.finding((_SETTING, "ports", name, "port"), what, "write another port")


def settings_of(app: Mapping[str, Any]) -> dict[str, Any]:
    """The setting of an App."""
    given = plain(app.get(_SETTING, {}))
    ports = plain(given.get("ports", {}))
    return {**given, "ports": {name: plain(port) for name, port in ports.items()}}


def taken(service: Service) -> Iterator[tuple[Place, str]]:
    """What no other Service of the cluster can have, with the setting that says so."""
    if service.address:
        yield (_SETTING, "address"), f"the address {service.address}"
    for name, port in service.ports.items():
        if port.node_port:
            setting: Place = (_SETTING, "ports", name, "node_port")
            yield setting, f"the port {port.node_port} ({port.protocol}) of nodes"

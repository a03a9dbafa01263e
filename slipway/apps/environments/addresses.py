"""Where apps without a route are reached: at their Services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slipway.apps.app import LOAD_BALANCER, NODE_PORT, App
from slipway.apps.manifests.labels import service_port
from slipway.kube.client import NODES, SERVICES, Kube, Object


def addresses(kube: Kube, apps: Iterable[App]) -> dict[str, list[str]]:
    """The addresses of each app without a route, by its id; what is open is looked up."""
    apps = [app for app in apps if not app.rules]
    nodes: list[str] = []
    if any(app.service.type == NODE_PORT for app in apps):
        nodes = [address for node in kube.list(NODES).items for address in _of_node(node)]
    found = {}
    for app in apps:
        live = kube.get(SERVICES, app.name, app.namespace) if app.is_open else None
        found[app.id] = [*(_outside(live or {}, nodes) if app.is_open else _inside(app))]
    return found


def _inside(app: App) -> Iterator[str]:
    """The name of a Service that the cluster's pods alone reach, with each of its ports."""
    ports = [(service_port(app), "TCP")] if app.has_own_port else []
    ports += [(port.port, port.protocol) for _, port in sorted(app.service.ports.items())]
    for port, protocol in ports:
        yield _at(f"{app.name}.{app.namespace}.svc", port, protocol)


def _outside(live: Object, nodes: Iterable[str]) -> Iterator[str]:
    """What a Service has by now: ports of nodes, or an address of its own."""
    spec = live.get("spec", {})
    balanced = spec.get("type") == LOAD_BALANCER
    own = live.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    key = "port" if balanced else "nodePort"
    for port in spec.get("ports", ()):
        for host in [each["ip"] for each in own if "ip" in each] if balanced else nodes:
            if key in port:
                yield _at(host, port[key], port.get("protocol", "TCP"))


def _at(host: str, port: int, protocol: str) -> str:
    """An address with a port, as ``192.0.2.1:53/UDP``."""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" + ("" if protocol == "TCP" else f"/{protocol}")


def _of_node(node: Object) -> Iterator[str]:
    for each in node.get("status", {}).get("addresses", ()):
        if each["type"] == "InternalIP":
            yield each["address"]

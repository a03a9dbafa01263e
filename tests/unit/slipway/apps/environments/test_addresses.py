"""Where apps without a route are reached."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.apps.app import App
from slipway.apps.environments.addresses import addresses
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi
from tests.support.apps import planned

PORTS = {"b": {"port": 53, "protocol": "UDP"}, "a": {"port": 6379, "target": 7000}}


def worker(**service: Any) -> App:
    """An app without a route."""
    return planned("web", ingress=None, service=service)


def live(kind: str, *ports: dict[str, Any], **status: Any) -> Object:
    """Its Service as Kubernetes has it."""
    return {
        "metadata": {"name": "web", "namespace": "web-main"},
        "spec": {"type": kind, "ports": [*ports]},
        "status": status,
    }


@pytest.fixture(autouse=True)
def nodes(api: FakeApi) -> None:
    """Two nodes with names and addresses."""
    for name, address in (("one", "192.0.2.1"), ("two", "2001:db8::2")):
        known = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
        api.put("nodes", {"metadata": {"name": name}, "status": {"addresses": known}})


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ({}, ["web.web-main.svc:80"]),
        ({"ports": PORTS}, ["web.web-main.svc:6379", "web.web-main.svc:53/UDP"]),
    ],
)
def test_what_pods_alone_reach_has_the_name_of_its_service(
    service: dict[str, Any], found: list[str], kube: Kube, api: FakeApi
) -> None:
    assert addresses(kube, [worker(**service)]) == {"web-main/web": found}
    assert api.requests == [], "everything is known already"


def test_ports_of_nodes_are_at_all_of_them(kube: Kube, api: FakeApi) -> None:
    api.put("services", live("NodePort", {"port": 80, "nodePort": 30481}))
    found = addresses(kube, [worker(type="NodePort", ports=PORTS)])
    assert found == {"web-main/web": ["192.0.2.1:30481", "[2001:db8::2]:30481"]}


def test_an_address_of_its_own_is_the_one_that_it_got(kube: Kube, api: FakeApi) -> None:
    ports = [{"port": 6379, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    got = {"ingress": [{"ip": "192.0.2.5"}]}
    api.put("services", live("LoadBalancer", *ports, loadBalancer=got))
    found = addresses(kube, [worker(type="LoadBalancer", ports=PORTS)])
    assert found == {"web-main/web": ["192.0.2.5:6379", "192.0.2.5:53/UDP"]}


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_without_a_service_or_an_address_there_is_none(kind: str, kube: Kube, api: FakeApi) -> None:
    assert addresses(kube, [worker(type=kind)]) == {"web-main/web": []}
    api.put("services", live(kind, {"port": 80}))
    assert addresses(kube, [worker(type=kind)]) == {"web-main/web": []}


def test_what_has_a_route_is_reached_by_that(kube: Kube) -> None:
    assert addresses(kube, [planned("web", service={"type": "NodePort"})]) == {}


def test_one_that_speaks_https_is_reached_at_the_port_for_that(kube: Kube) -> None:
    app = planned("web", ingress=None, scheme="https")
    assert addresses(kube, [app]) == {"web-main/web": ["web.web-main.svc:443"]}

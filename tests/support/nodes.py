"""What every node and the pods on it can do, asked of a cluster under test."""

from __future__ import annotations

from slipway.kube.client import SERVICES
from tests.support.scenario import Scenario

UNITS = ("containerd", "kubelet", "pod-routes")

RESOLVE = "import socket; print(socket.gethostbyname('kubernetes.default.svc.cluster.local'))"


def has_its_units(scenario: Scenario) -> None:
    """Every node runs its units, and has them started at boot."""
    states = {
        (name, unit): (host.service(unit).is_running, host.service(unit).is_enabled)
        for name, host in scenario.nodes.items()
        for unit in UNITS
    }
    assert states == dict.fromkeys(states, (True, True))


def pods_reach_each_other(scenario: Scenario) -> None:
    """Pods reach pods of every node, and resolve the names of services."""
    api = scenario.kube.get(SERVICES, "kubernetes", "default")
    assert api
    with scenario.pod_on_each_node() as addresses:
        heard = {
            (client, server): scenario.python_in_pod("default", client, _fetch(address))
            for client in addresses
            for server, address in addresses.items()
        }
        resolved = {
            client: scenario.python_in_pod("default", client, RESOLVE) for client in addresses
        }
    assert heard == {(client, server): server for client, server in heard}
    assert resolved == dict.fromkeys(addresses, api["spec"]["clusterIP"])


def _fetch(address: str) -> str:
    """A program that prints what a pod says its name is."""
    url = f"http://{address}:8080/hostname"
    return f"import urllib.request as u; print(u.urlopen('{url}', timeout=5).read().decode())"

"""A machine on the nodes' network segment that takes the nodes for routers to their pods."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from slipway.kube.client import SERVICES
from slipway.kube.nodes import nodes_of
from slipway.nodes import containers
from tests.support.scenario import Scenario

ASK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
except TimeoutError:
    print("silence")
else:
    print("reached")
"""


@pytest.fixture
def neighbour(scenario: Scenario) -> Iterator[Container]:
    """A container beside the nodes, which may set its routes."""
    client = containers.connect()
    node = client.containers.get(next(iter(scenario.nodes)))
    made = client.containers.run(
        node.image,
        entrypoint=["sleep", "600"],
        network=scenario.facts["cluster"],
        cap_add=["NET_ADMIN"],
        detach=True,
        auto_remove=True,
    )
    yield made
    made.kill()


def reaches(neighbour: Container, address: str, port: int, *, by: str = "") -> str:
    """Whether something answers the neighbour there, ``by`` a node."""
    if by:
        routed = neighbour.exec_run(["ip", "route", "replace", f"{address}/32", "via", by])
        assert routed.exit_code == 0, routed.output
    asked = neighbour.exec_run(["python3", "-c", ASK, address, str(port)])
    assert asked.exit_code == 0, asked.output
    return str(asked.output.decode().strip())


def test_a_neighbour_reaches_services_and_neither_pods_nor_addresses_of_the_cluster(
    scenario: Scenario, neighbour: Container
) -> None:
    nodes = {name: node["address"] for name, node in nodes_of(scenario.kube).items()}
    dns = scenario.kube.get(SERVICES, "kube-dns", "kube-system")
    assert dns
    with scenario.pod_on_each_node() as pods:
        found = {
            (pod, by): reaches(neighbour, address, 8080, by=nodes[by])
            for pod, address in pods.items()
            for by in nodes
        }
        inside = {
            by: reaches(neighbour, dns["spec"]["clusterIP"], 53, by=nodes[by]) for by in nodes
        }
    assert found == dict.fromkeys(found, "silence")
    assert inside == dict.fromkeys(inside, "silence")
    assert reaches(neighbour, scenario.ingress_address(), 80) == "reached"

"""What nobody opened is closed to the machines beside the nodes."""

from __future__ import annotations

from slipway.kube.client import SERVICES
from slipway.kube.nodes import nodes_of
from tests.support.neighbours import neighbour, reaches
from tests.support.scenario import Scenario


def test_a_neighbour_reaches_services_and_neither_pods_nor_addresses_of_the_cluster(
    scenario: Scenario,
) -> None:
    nodes = {name: node["address"] for name, node in nodes_of(scenario.kube).items()}
    dns = scenario.kube.get(SERVICES, "kube-dns", "kube-system")
    assert dns
    with neighbour(scenario) as beside:
        with scenario.pod_on_each_node() as pods:
            found = {
                (pod, by): reaches(beside, address, 8080, by=nodes[by])
                for pod, address in pods.items()
                for by in nodes
            }
            inside = {
                by: reaches(beside, dns["spec"]["clusterIP"], 53, by=nodes[by]) for by in nodes
            }
        assert found == dict.fromkeys(found, "silence")
        assert inside == dict.fromkeys(inside, "silence")
        assert reaches(beside, scenario.ingress_address(), 80) == "reached"

"""Nodes whose power is cut come back by themselves."""

from __future__ import annotations

from slipway import containers
from tests.e2e.cluster import test_nodes
from tests.e2e.scenario import Scenario, wait_for


def test_the_cluster_comes_back_after_a_power_cut(scenario: Scenario) -> None:
    address = scenario.ingress_address()
    client = containers.connect()
    nodes = [client.containers.get(name) for name in scenario.nodes]
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    wait_for(lambda: scenario.wrong_routes(address=address), lambda wrong: wrong == {})
    test_nodes.test_every_node_runs_its_units_and_has_them_started_at_boot(scenario)
    test_nodes.test_pods_reach_pods_of_every_node_and_resolve_services(scenario)

"""Nodes whose power is cut come back by themselves, and runs that were cut short end well."""

from __future__ import annotations

import json

from testinfra.host import Host

from slipway.kube.client import NODES
from slipway.nodes import containers
from slipway.on_node.shared import MARKER
from tests.support.nodes import has_its_units, pods_reach_each_other
from tests.support.scenario import Scenario, wait_for


def test_the_cluster_comes_back_after_a_power_cut(scenario: Scenario) -> None:
    address = scenario.ingress_address()
    client = containers.connect()
    nodes = [client.containers.get(name) for name in scenario.nodes]
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    wait_for(lambda: scenario.wrong_routes(address=address), lambda wrong: wrong == {})
    has_its_units(scenario)
    pods_reach_each_other(scenario)


def test_a_node_that_was_made_when_the_power_was_cut_is_taken_as_it_is(scenario: Scenario) -> None:
    """kubeadm had come to its end, and only its note is left."""
    for host in scenario.nodes.values():
        leave_note(scenario, host)
    before = scenario.pods()
    run = scenario.play("playbooks/cluster.yml")
    assert run.code == 0, str(run)
    assert scenario.pods() == before
    assert not any(host.file(MARKER).exists for host in scenario.nodes.values())
    assert set(scenario.play("playbooks/cluster.yml").changed.values()) == {0}


def test_a_join_that_the_power_was_cut_in_is_begun_anew(scenario: Scenario) -> None:
    name, worker = next(
        (name, host) for name, host in scenario.nodes.items() if host is not scenario.control_plane
    )
    worker.check_output("kubeadm reset --force")
    scenario.kube.delete(NODES, name)
    leave_note(scenario, worker)
    worker.check_output("mkdir -p /etc/kubernetes/pki && echo half >/etc/kubernetes/pki/ca.crt")
    run = scenario.play("playbooks/cluster.yml")
    assert run.code == 0, str(run)
    assert not worker.file(MARKER).exists
    assert scenario.kube.get(NODES, name)
    wait_for(scenario.wrong_routes, lambda wrong: wrong == {})


def leave_note(scenario: Scenario, host: Host) -> None:
    """Let a run have been interrupted in making the node."""
    note = {
        "command": "init" if host is scenario.control_plane else "join",
        **{key: scenario.facts[key] for key in ("cluster", "endpoint")},
    }
    host.check_output("mkdir -p /var/lib/slipway && echo %s >%s", json.dumps(note), MARKER)

"""Environments are apart on the network: asked from their pods, as code of a branch would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_network

import pytest

from slipway.kube.client import NETWORK_POLICIES, PODS, Object
from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Scenario, wait_for

MAIN, PROVERBS = "quotes-main", "quotes-feature-proverbs"

QUOTES = "deployment/quotes"

TABLE = "/usr/local/lib/slipway/nft/nft list table inet kube-network-policies"

ASK = """
import socket
try:
    socket.create_connection(({host!r}, {port}), timeout=3).close()
except TimeoutError:
    print("silence")
except ConnectionRefusedError:
    print("refused")
else:
    print("reached")
"""


def asked(scenario: Scenario, space: str, pod: str, host: str, port: int = 80) -> str:
    """What a pod gets that connects to a host."""
    return scenario.python_in_pod(space, pod, ASK.format(host=host, port=port))


def both_ways(scenario: Scenario) -> tuple[str, str]:
    """What the pods of two environments get from each other."""
    return (
        asked(scenario, MAIN, QUOTES, f"quotes.{PROVERBS}"),
        asked(scenario, PROVERBS, QUOTES, f"quotes.{MAIN}"),
    )


def pod_address(scenario: Scenario, space: str) -> str:
    """The address of an app's pod."""
    [pod, *_others] = scenario.kube.list(
        PODS, namespace=space, labels="app.kubernetes.io/name=quotes"
    ).items
    return str(pod["status"]["podIP"])


@contextmanager
def policy(scenario: Scenario, space: str, spec: Object) -> Iterator[None]:
    """A NetworkPolicy of a user's."""
    made: Object = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    scenario.kube.apply({**made, "metadata": {"name": "e2e", "namespace": space}, "spec": spec})
    try:
        yield
    finally:
        scenario.kube.delete(NETWORK_POLICIES, "e2e", space)


def test_environments_do_not_reach_each_other(scenario: Scenario) -> None:
    assert both_ways(scenario) == ("silence", "silence")
    address = pod_address(scenario, PROVERBS)
    assert asked(scenario, MAIN, QUOTES, address, 8000) == "silence"
    assert asked(scenario, MAIN, QUOTES, "kubernetes.default", 443) == "silence"


def test_their_own_pods_the_ingress_and_what_is_outside_are_reached(scenario: Scenario) -> None:
    """Names as well, by which all of these are asked; the node asked whether they are well."""
    assert asked(scenario, MAIN, QUOTES, f"quotes.{MAIN}") == "reached"
    assert asked(scenario, MAIN, QUOTES, scenario.ingress_address()) == "reached"
    gateway = str(ip_network(scenario.facts["segment"])[1])
    assert asked(scenario, MAIN, QUOTES, gateway, 1) == "refused"
    assert not scenario.wrong_routes()


def test_reach_opens_one_way(scenario: Scenario, apps_file: AppsFile) -> None:
    def reaching(apps: Apps) -> None:
        for app in apps:
            if (app["name"], app["git_branch"]) == ("quotes", "main"):
                app["reach"] = [{"app": "quotes", "branch": "feature/proverbs"}]

    try:
        run = scenario.deploy(apps_file.changed(reaching))
        assert run.code == 0, str(run)
        found = wait_for(partial(both_ways, scenario), lambda ways: "reached" in ways)
        assert found == ("reached", "silence")
        again = scenario.deploy(apps_file.changed(reaching))
        assert set(again.changed.values()) == {0}, str(again)
    finally:
        run = scenario.deploy(scenario.apps_file)
        assert run.code == 0, str(run)
    assert wait_for(partial(both_ways, scenario), lambda ways: "reached" not in ways)


def test_policies_of_users_count(scenario: Scenario) -> None:
    """Where Slipway has none, they close; in an environment they open what apps.yml leaves open."""
    closed: Object = {"podSelector": {}, "policyTypes": ["Ingress"]}
    mine = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}
    opened: Object = {"podSelector": {}, "ingress": [{"from": [mine]}]}
    with scenario.pod_on_each_node() as pods:
        one, *_ = pods
        *_, other = pods.values()
        address = pod_address(scenario, MAIN)
        among = partial(asked, scenario, "default", one, other, 8080)
        into = partial(asked, scenario, "default", one, address, 8000)
        assert (among(), into()) == ("reached", "silence")
        with policy(scenario, "default", closed):
            wait_for(among, lambda found: found == "silence")
        with policy(scenario, MAIN, opened):
            wait_for(into, lambda found: found == "reached")
        wait_for(among, lambda found: found == "reached")
        wait_for(into, lambda found: found == "silence")


@pytest.fixture
def killed(scenario: Scenario) -> dict[str, str]:
    """The rules of each node right after its engine was killed."""
    found = {}
    for name, host in scenario.nodes.items():
        [number] = host.check_output("pgrep -f ^/network-policies").split()
        host.check_output("kill -KILL %s", number)
        found[name] = host.check_output(TABLE)
    return found


def test_rules_hold_while_a_killed_engine_comes_back(
    scenario: Scenario, killed: dict[str, str]
) -> None:
    for table in killed.values():
        assert table.count("10.244.0.0/16") == 4, table
    address = pod_address(scenario, PROVERBS)
    assert asked(scenario, MAIN, QUOTES, address, 8000) == "silence"
    wait_for(scenario.wrong_routes, lambda wrong: not wrong)
    assert both_ways(scenario) == ("silence", "silence")

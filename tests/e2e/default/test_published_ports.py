"""Names below localhost lead to the services, by ports of this machine."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

import pytest

from tests.support.scenario import Scenario

LOCAL = "slipway.localhost"


def test_services_answer_at_addresses_that_a_browser_opens(scenario: Scenario) -> None:
    ports = scenario.facts["ports"]
    try:
        run = scenario.play("playbooks/platform.yml", "playbooks/apps.yml", slipway_domain=LOCAL)
        assert run.code == 0, str(run)
        assert "This machine does not know these names" not in run.output
        shown = [word for word in run.output.split() if word.startswith("http://")]
        addresses = [urlsplit(each) for each in shown]
        assert {(each.hostname, each.port) for each in addresses} == {
            (f"demo.{LOCAL}", ports["http"]),
            (f"environments.{LOCAL}", ports["http"]),
        }
        answers = {
            each.geturl(): scenario.ask(f"127.0.0.1:{each.port}", each.netloc, each.path).status
            for each in addresses
        }
        assert answers == dict.fromkeys(shown, 200)
        listed = scenario.play("playbooks/list.yml")
        assert all(each in listed.output for each in shown[:-1]), listed
        again = scenario.play("playbooks/platform.yml", "playbooks/apps.yml", slipway_domain=LOCAL)
        assert set(again.changed.values()) == {0}, str(again)
    finally:
        assert scenario.play("playbooks/platform.yml", "playbooks/apps.yml").code == 0
    assert scenario.wrong_routes() == {}


def test_ports_lead_to_this_machine_alone(scenario: Scenario) -> None:
    """To whoever reaches it over a network, there is nothing."""
    gateway = str(ipaddress.ip_network(scenario.facts["segment"])[1])
    for address in ("127.0.0.2", gateway):
        for port in scenario.facts["ports"].values():
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, port), timeout=5)


def test_a_port_that_is_taken_is_told_before_a_bundle_is_made(scenario: Scenario) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = {**scenario.facts["ports"], "http": taken.getsockname()[1]}
        run = scenario.play("site.yml", slipway_published_ports=wanted)
    assert run.code != 0
    assert run.changed == {"localhost": 0}, str(run)
    [message] = run.failures
    assert f"port {wanted['http']} of 127.0.0.1 is in use on this machine" in message


def test_nodes_that_were_made_with_other_ports_are_left_and_told(scenario: Scenario) -> None:
    before = scenario.pods()
    run = scenario.play("playbooks/nodes.yml", slipway_published_ports={})
    assert run.code != 0
    assert set(run.changed.values()) == {0}, str(run)
    [message] = run.failures
    assert "was made with the published ports" in message
    assert "make down" in message
    assert scenario.pods() == before

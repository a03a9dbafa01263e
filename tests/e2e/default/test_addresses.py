"""An app with an address of its own answers there at its own ports, and one without nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
import urllib3

from slipway.waiting import wait_until
from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Run, Scenario

TARGET = 8000


class Teller:
    """A sample without routes, with a Service as it is wanted."""

    def __init__(self, scenario: Scenario, apps_file: AppsFile) -> None:
        self.scenario = scenario
        self._apps_file = apps_file

    def deploy(self, **service: Any) -> Run:
        """Deploy it beside the apps of the cluster."""

        def add(apps: Apps) -> None:
            sample = next(app for app in apps if app["name"] == "quotes")
            alike = {key: value for key, value in sample.items() if key != "ingress"}
            apps.append({**alike, "name": "teller", "service": service})

        return self.scenario.deploy(self._apps_file.changed(add))

    def status(self, address: str, port: int) -> int:
        """What it answers there; 0 if nothing does."""
        url = f"http://{address}:{port}/healthz"
        # By a new connection: one that stands goes on.
        with urllib3.PoolManager(retries=False, timeout=2) as pool:
            try:
                return pool.request("GET", url).status
            except urllib3.exceptions.HTTPError:
                return 0


@pytest.fixture(scope="module")
def teller(scenario: Scenario, apps_file: AppsFile) -> Iterator[Teller]:
    yield Teller(scenario, apps_file)
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, str(undone)


def test_it_answers_where_it_is_to_and_nowhere_else(teller: Teller) -> None:
    address = str(ip_address(teller.scenario.ingress_address()) + 5)
    template = "{.items[0].status.addresses[?(@.type=='InternalIP')].address}"
    of_node = teller.scenario.kubectl("get", "nodes", f"--output=jsonpath={template}")
    ports = {"plain": {"port": 8081, "target": TARGET}}

    balanced = {"type": "LoadBalancer", "address": address, "ports": ports}
    run = teller.deploy(**balanced)
    assert run.code == 0, str(run)
    assert wait_until(lambda: teller.status(address, 8081) == 200, 30)
    assert teller.status(address, 80) == 0
    again = teller.deploy(**balanced)
    assert set(again.changed.values()) == {0}, str(again)

    ports["plain"]["node_port"] = 30481
    run = teller.deploy(type="NodePort", ports=ports)
    assert run.code == 0, str(run)
    assert wait_until(lambda: teller.status(of_node, 30481) == 200, 30)
    assert wait_until(lambda: teller.status(address, 8081) == 0, 30)

    del ports["plain"]["node_port"]
    run = teller.deploy(ports=ports)
    assert run.code == 0, str(run)
    assert wait_until(lambda: teller.status(of_node, 30481) == 0, 30)


def test_an_address_that_cannot_be_had_is_the_failure_of_its_app(teller: Teller) -> None:
    run = teller.deploy(type="LoadBalancer", address="203.0.113.1", ports={"a": {"port": TARGET}})
    assert run.code != 0
    [failure] = [each for each in run.failures if "teller (main)" in each]
    assert "has no address" in failure
    assert "203.0.113.1" in failure

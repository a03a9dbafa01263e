"""The machine is carried to another network: nodes and their pods go on without being made anew."""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.nodes import containers
from tests.support.scenario import Scenario, wait_for

RESOLVE = """
import socket
try:
    print(socket.gethostbyname({name!r}))
except OSError as error:
    print(error)
"""
"""A program that says which address a name has, or why it has none."""

FOUND = "192.0.2.77"

ZONE = "office.test"


class NameServer(socketserver.UDPServer):
    """A name server of another network, which alone knows the names of a zone."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: set[str] = set()
        super().__init__((address, 53), Question)


class Question(socketserver.BaseRequestHandler):
    """A question, which is answered with an address, or with there being no such name."""

    server: NameServer

    def handle(self) -> None:
        """Read the name, and answer as RFC 1035 has it in section 4.1."""
        question, listener = self.request
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode().lower())
            at += 1 + length
        name, kind, end = ".".join(labels), question[at + 1 : at + 3], at + 5
        self.server.asked.add(name)
        is_known = name.endswith(f".{ZONE}")
        has_address = is_known and kind == b"\0\1"
        counts = b"\0\1" + (b"\0\1" if has_address else b"\0\0") + b"\0\0\0\0"
        head = question[:2] + (b"\x85\x80" if is_known else b"\x85\x83") + counts
        record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(FOUND)
        listener.sendto(head + question[12:end] + record * has_address, self.client_address)


@pytest.fixture
def office(scenario: Scenario) -> Iterator[NameServer]:
    """A name server at this machine's address in the nodes' network."""
    with NameServer(str(ipaddress.ip_network(scenario.facts["segment"])[1])) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def resolv_conf(scenario: Scenario) -> Iterator[Path]:
    """The file of this machine's name servers, as far as the nodes know."""
    path = Path(scenario.facts["resolv_conf"])
    before = path.read_text()
    yield path
    put(path, before)


def put(path: Path, text: str) -> None:
    """Put another file in the place of one, as NetworkManager and others do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_pods_and_nodes_ask_the_name_servers_that_the_machine_has_at_the_time(
    scenario: Scenario, office: NameServer, resolv_conf: Path
) -> None:
    with scenario.pod_on_each_node() as pods:

        def resolved(name: str) -> set[str]:
            program = RESOLVE.format(name=name)
            return {scenario.python_in_pod("default", pod, program) for pod in pods}

        before = scenario.pods()
        assert resolved(f"before.{ZONE}") != {FOUND}
        assert office.asked == set()

        put(resolv_conf, f"# Of the office.\nnameserver {office.address}\n")
        names = iter(f"after-{number}.{ZONE}" for number in range(1000))
        wait_for(lambda: resolved(next(names)), lambda found: found == {FOUND})
        asked = [
            host.check_output("getent ahostsv4 %s", f"node.{ZONE}")
            for host in scenario.nodes.values()
        ]
        assert {answer.split()[0] for answer in asked} == {FOUND}

        # In place, as shell scripts do.
        resolv_conf.write_text("nameserver 192.0.2.53\n")
        wait_for(lambda: resolved(next(names)), lambda found: FOUND not in found)
        assert scenario.pods() == before


def test_nodes_that_were_restarted_ask_them_too(
    scenario: Scenario, office: NameServer, resolv_conf: Path
) -> None:
    put(resolv_conf, f"nameserver {office.address}\n")
    address = scenario.ingress_address()
    client = containers.connect()
    nodes = [client.containers.get(name) for name in scenario.nodes]
    for node in nodes:
        node.restart(timeout=5)
    wait_for(lambda: scenario.wrong_routes(address=address), lambda wrong: wrong == {})
    with scenario.pod_on_each_node() as pods:
        program = RESOLVE.format(name=f"again.{ZONE}")
        found = {scenario.python_in_pod("default", pod, program) for pod in pods}
    assert found == {FOUND}


def test_a_node_that_was_taken_out_of_its_network_comes_back_with_a_run(scenario: Scenario) -> None:
    """As after "docker network disconnect" and "connect" by hand, which gives another address."""
    client = containers.connect()
    network = client.networks.get(scenario.facts["cluster"])
    worker = next(
        name for name, host in scenario.nodes.items() if host is not scenario.control_plane
    )
    network.disconnect(worker)
    network.connect(worker)
    run = scenario.play("playbooks/nodes.yml")
    assert run.code == 0, str(run)
    assert run.changed == {"localhost": 1}, str(run)
    wait_for(scenario.wrong_routes, lambda wrong: wrong == {})
    assert set(scenario.play("playbooks/nodes.yml").changed.values()) == {0}

"""A machine on the nodes' network segment that takes the nodes for routers to their pods."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from docker.models.containers import Container

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


@contextmanager
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

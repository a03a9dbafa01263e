"""node_look on a machine on which something really listens."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.support.made import module

WANTED = {
    "cluster": "lab",
    "endpoint": "https://192.0.2.11:6443",
    "control_planes": ["192.0.2.11"],
    "version": "1.36.3",
    "resolv_conf": "/dev/null",
}

LISTEN = """
ip link set lo up
{python} -c '
import socket, time
listening = [socket.create_server(("127.0.0.1", port)) for port in {ports}]
time.sleep(5)
' </dev/null >/dev/null 2>&1 &
until grep -q ":{last:04X} " /proc/net/tcp; do sleep 0.01; done
"""


def found(result: dict[str, Any], words: str) -> list[str]:
    """What was found by the refusal that says this; nothing if none does."""
    refusals = [each for each in result.get("refusals", []) if words in each["what"]]
    return [line for each in refusals for line in each["found"]]


@pytest.mark.parametrize(
    ("ports", "control_plane", "expected"),
    [
        ([10250], False, [10250]),
        ([6443, 2379, 10250], True, [10250, 2379, 6443]),
        ([6443, 7946], False, [7946]),
        ([8080], True, []),
    ],
)
def test_a_port_at_which_somebody_listens_is_in_the_way(
    ports: list[int], control_plane: bool, expected: list[int]
) -> None:
    listen = LISTEN.format(python=sys.executable, ports=ports, last=ports[-1])
    result = module("node_look", WANTED | {"control_plane": control_plane}, listen)
    told = found(result, "is not bare")
    assert [line for line in told if "port" in line] == [
        f"port {port} is in use" for port in expected
    ]

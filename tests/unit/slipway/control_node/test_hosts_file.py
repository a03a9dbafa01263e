"""Lines for a hosts file."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from slipway.control_node.hosts_file import name_lines, resolved, unresolved


def test_there_is_one_line_for_each_address() -> None:
    addresses = {
        "b.test": "172.29.255.200",
        "a.test": "172.29.255.200",
        "c.test": "172.29.255.201",
        "six.test": "fd00::1",
        "cloud.test": "lb.example.org",
        "none.test": "",
    }
    assert name_lines(addresses) == [
        "172.29.255.200 a.test b.test",
        "172.29.255.201 c.test",
        "fd00::1 six.test",
    ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the name servers know."""
    known: dict[str, list[str]] = {}

    def answer(host: str, _port: object) -> list[tuple[Any, ...]]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known


def test_what_resolves_to_its_address_needs_no_line(names: dict[str, list[str]]) -> None:
    names["demo.10-0-0-1.nip.io"] = ["10.0.0.1"]
    names["moved.test"] = ["10.0.0.2"]
    names["both.test"] = ["10.0.0.2", "10.0.0.1"]
    addresses = dict.fromkeys([*names, "new.test"], "10.0.0.1")
    assert unresolved(addresses) == {"moved.test": "10.0.0.1", "new.test": "10.0.0.1"}


def test_all_addresses_of_a_host_are_told_and_none_of_one_that_is_unknown(
    names: dict[str, list[str]],
) -> None:
    names["both.test"] = ["10.0.0.2", "10.0.0.1"]
    assert resolved(["both.test", "new.test"]) == {
        "both.test": {"10.0.0.1", "10.0.0.2"},
        "new.test": set(),
    }


def test_this_machine_knows_itself() -> None:
    assert unresolved({"localhost": "127.0.0.1", "localhost.": "192.0.2.1"}) == {
        "localhost.": "192.0.2.1"
    }


def test_name_servers_that_do_not_answer_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: end.wait(20) and [])
    addresses = dict.fromkeys([f"{number}.test" for number in range(50)], "10.0.0.1")
    began = time.monotonic()
    assert unresolved(addresses, seconds=0.2) == addresses
    assert time.monotonic() - began < 5
    end.set()

"""Names that are this machine, and their addresses in a browser."""

from __future__ import annotations

import pytest

from slipway.control_node.localhost import NO_PORTS, is_here, url

PORTS = {"http": 8080, "https": 8443}


@pytest.mark.parametrize("host", ["localhost", "demo.localhost", "a.b.slipway.localhost"])
def test_names_below_localhost_are_asked_at_ports_of_this_machine(host: str) -> None:
    assert is_here(host, PORTS)
    assert not is_here(host, NO_PORTS)


@pytest.mark.parametrize(
    "host", ["notlocalhost", "demo.notlocalhost", "localhost.test", "demo.localhost.test"]
)
def test_names_that_only_look_like_it_are_not(host: str) -> None:
    assert not is_here(host, PORTS)


def test_an_address_has_its_port_where_a_browser_would_take_another() -> None:
    usual = {"http": 80, "https": 443}
    assert url("http", "a.localhost", "/b/", PORTS) == "http://a.localhost:8080/b/"
    assert url("https", "a.localhost", "/b/", PORTS) == "https://a.localhost:8443/b/"
    assert url("http", "a.localhost", "/", usual) == "http://a.localhost/"
    assert url("https", "a.localhost", "/", usual) == "https://a.localhost/"
    assert url("http", "a.localhost", "/", NO_PORTS) == "http://a.localhost/"
    assert url("http", "a.test", "/", PORTS) == "http://a.test/"
    swapped = {"http": 443, "https": 80}
    assert url("http", "a.localhost", "/", swapped) == "http://a.localhost:443/"

"""What leads to the API servers of several control planes, and holds their address."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import PROJECT
from tests.support.role_templates import rendered, variables

TEMPLATES = PROJECT / "roles/api_balancer/templates"
PLANES = ["slipway-ha-1", "slipway-ha-2", "slipway-ha-3"]


def text(template: str, **more: Any) -> str:
    """A file of a load balancer, the first of them unless another is named."""
    groups = {"control_plane": PLANES, "load_balancers": PLANES}
    known = variables(
        "ha", "api_balancer", **{"groups": groups, "node_address": "192.0.2.11"} | more
    )
    return str(rendered((TEMPLATES / template).read_text(), known))


def test_every_control_plane_is_behind_the_port_of_the_api() -> None:
    found = text("haproxy.cfg.j2")
    assert re.findall(r"^    server (\S+) (\S+)$", found, re.MULTILINE) == [
        (name, f"192.0.2.{number}:6443") for number, name in enumerate(PLANES, start=11)
    ]
    assert "    bind :8443\n" in found


def test_a_machine_of_its_own_has_the_usual_port() -> None:
    groups = {"control_plane": PLANES, "load_balancers": ["front"]}
    assert "    bind :6443\n" in text("haproxy.cfg.j2", groups=groups, inventory_hostname="front")


def priority(name: str) -> int:
    """How much a load balancer wants the address."""
    (found,) = re.findall(
        r"^    priority (\d+)$", text("api-address.j2", inventory_hostname=name), re.M
    )
    return int(found)


def test_load_balancers_are_asked_in_the_order_of_the_inventory() -> None:
    wanted = [priority(name) for name in PLANES]
    assert wanted == sorted({*wanted}, reverse=True)


def test_each_tells_all_others_and_holds_the_one_address() -> None:
    found = text("api-address.j2", inventory_hostname="slipway-ha-2", node_address="192.0.2.12")
    peers = re.search(r"unicast_peer \{\n(.*?)\}", found, re.DOTALL)
    assert peers
    assert peers[1].split() == ["192.0.2.11", "192.0.2.13"]
    assert "unicast_src_ip 192.0.2.12\n" in found
    assert "        172.23.0.10/32 dev $device\n" in found


def test_one_alone_tells_nobody() -> None:
    groups = {"control_plane": PLANES, "load_balancers": ["front"]}
    found = text("api-address.j2", groups=groups, inventory_hostname="front")
    assert "unicast" not in found


@pytest.mark.parametrize(("address", "number"), [("192.0.2.10", 10), ("192.0.2.0", 1)])
def test_the_number_of_the_router_is_of_the_address(address: str, number: int) -> None:
    found = text("api-address.j2", slipway_api_address=address)
    assert f"virtual_router_id {number}\n" in found


def test_every_template_is_a_file_of_a_load_balancer() -> None:
    said = (PROJECT / "roles/api_balancer/vars/main.yml").read_text()
    assert all(path.name in said for path in Path(TEMPLATES).iterdir())

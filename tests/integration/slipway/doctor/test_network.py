"""Networks, routes, filters and neighbours that are really there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.doctor import network
from slipway.doctor.findings import Result
from slipway.doctor.machine import Machine, Use
from slipway.preflight import Inventory, pool_ends
from tests.support.machines import MACHINES, Check, cluster, told
from tests.support.made import NOBODY, python, seen, without

NODE, HOST, PLANE = Use.WORKER, Use.HOST, Use.CONTROL_PLANE
LAB = cluster(inventory=MACHINES)

ETH0 = """
ip link add eth0 type veth peer name wire
ip address add {address} dev eth0
ip link set wire up
ip link set eth0 up
"""
VPN = "ip link add tun0 type veth peer name far; ip link set far up; ip link set tun0 up"
PLANE_ETH0 = ETH0.format(address="192.0.2.11/24")


def states(results: Iterable[Result]) -> list[str]:
    """The states alone."""
    return [state for state, _ in told(results)]


def test_packets_of_nodes_are_to_be_forwarded() -> None:
    machine = seen("echo 0 > /proc/sys/net/ipv4/ip_forward")
    assert states(network.forwarding(machine, cluster(made=True))) == ["warn"]


def test_a_file_that_ends_forwarding_after_slipway_s_own_is_found() -> None:
    late = "echo net.ipv4.ip_forward=0 > /etc/sysctl.d/99-sysctl.conf"
    machine = seen(f"mount -t tmpfs none /etc/sysctl.d; {late}", NODE)
    ((state, found),) = told(network.forwarding(machine, LAB))
    assert state == "fail"
    assert "/etc/sysctl.d/99-sysctl.conf" in found


@pytest.mark.parametrize(
    ("use", "route", "state", "words"),
    [
        (HOST, "172.29.0.0/16 dev tun0", "fail", "node_containers_subnet 172.29.0.0/16 overlaps"),
        (HOST, "172.29.8.0/24 dev tun0", "fail", "overlaps with 172.29.8.0/24"),
        (HOST, "172.16.0.0/12 dev tun0", "warn", "overlaps with 172.16.0.0/12"),
        (HOST, "10.244.0.0/16 dev tun0 table 52", "warn", "slipway_pod_subnet 10.244.0.0/16"),
        (HOST, "10.96.0.0/12 dev tun0", "warn", "slipway_service_subnet 10.96.0.0/16 overlaps"),
        (NODE, "10.244.0.0/16 dev tun0 table 52", "fail", "slipway_pod_subnet 10.244.0.0/16"),
        (NODE, "10.244.2.0/24 dev tun0 proto 217", "ok", "free"),
        (HOST, "0.0.0.0/1 dev tun0", "ok", "free"),
    ],
)
def test_ways_of_a_vpn_into_the_cluster_s_ranges_are_found(
    use: Use, route: str, state: str, words: str
) -> None:
    machine = seen(f"{VPN}; ip route add {route}", use)
    ((found_state, found),) = told(network.ranges(machine, cluster()))
    assert found_state == state
    assert words in found


def test_ways_are_found_where_there_is_no_tool_that_tells_them() -> None:
    machine = seen(f"{VPN}; ip route add 172.29.0.0/16 dev tun0; {without('ip')}")
    assert states(network.ranges(machine, cluster())) == ["fail"]


@pytest.mark.parametrize(
    ("address", "state", "words"),
    [
        ("192.0.2.11/24", "ok", "192.0.2.11 on eth0"),
        ("10.0.0.5/24", "fail", "192.0.2.11 is none of its addresses (10.0.0.5/24 on eth0)"),
    ],
)
def test_a_node_s_address_is_its_own(address: str, state: str, words: str) -> None:
    machine = seen(ETH0.format(address=address), PLANE)
    ((found_state, found),) = told(network.address(machine, LAB))
    assert found_state == state
    assert words in found


THREE = replace(MACHINES, nodes={**MACHINES.nodes, "three": "198.51.100.22"})
ROUTER = "ip route add default via 192.0.2.1"
ETH1 = """
ip link add eth1 type veth peer name other
ip address add 198.51.100.21/24 dev eth1
ip link set other up
ip link set eth1 up
"""


def segment(prepare: str, inventory: Inventory = THREE, *, routed: bool = True) -> list[str]:
    """What is said of the segment of the control plane with this network."""
    nodes = [text for text in inventory.nodes.values() if text != "192.0.2.11"]
    machine = seen(prepare, PLANE, ways=[*nodes, *pool_ends(inventory.pool)])
    which = cluster(inventory=inventory, routed=routed)
    return [found for _, found in told(network.segment(machine, which))]


def test_nodes_on_one_segment_are_told_nothing() -> None:
    assert segment(f"{PLANE_ETH0}{ROUTER}", MACHINES) == ["all nodes and metallb_pool"]


def test_a_node_behind_a_router_is_told_before_anything_is_changed() -> None:
    beyond = "nodes that are not on that of 192.0.2.11/24 on eth0: three 198.51.100.22"
    assert segment(f"{PLANE_ETH0}{ROUTER}") == [f"{beyond} (by 192.0.2.1)"]
    assert segment(PLANE_ETH0) == [f"{beyond} (by no way)"]
    assert segment(f"{PLANE_ETH0}{ROUTER}", routed=False) == ["metallb_pool"]


def test_a_segment_is_as_wide_as_the_machine_has_it() -> None:
    narrow = ETH0.format(address="192.0.2.11/28")
    nodes, pool = segment(narrow, MACHINES)
    assert nodes.endswith("192.0.2.11/28 on eth0: worker 192.0.2.21 (by no way)")
    assert pool.count("by no way") == 2


def test_a_machine_may_be_on_the_segments_of_all_others() -> None:
    assert segment(f"{PLANE_ETH0}{ETH1}{ROUTER}") == ["all nodes and metallb_pool"]


def test_addresses_for_services_are_on_the_segment_or_made_so() -> None:
    apart = replace(MACHINES, pool=["203.0.113.8-203.0.113.15"])
    (found,) = segment(f"{PLANE_ETH0}{ROUTER}", apart)
    assert found.endswith(
        "metallb_pool 203.0.113.8 (by 192.0.2.1), metallb_pool 203.0.113.15 (by 192.0.2.1)"
    )
    route = f"{ROUTER}; ip route add 203.0.113.8/29 dev eth0"
    assert segment(f"{PLANE_ETH0}{route}", apart) == ["all nodes and metallb_pool"]


FIREWALL_CMD = """#!/bin/sh
case "$1" in
--get-default-zone) echo public ;;
--list-all-zones) printf 'public (active)\\n  target: default\\n  interfaces: eth0\\n\\n' ;;
esac
"""
UFW = """#!/bin/sh
case "$1" in
status) printf 'Status: active\\nDefault: deny (incoming), allow (outgoing), deny (routed)\\n' ;;
*) printf 'Added user rules:\\nufw allow 22/tcp\\n' ;;
esac
"""


@pytest.mark.parametrize(
    ("name", "script", "check", "mend"),
    [
        (
            "firewall-cmd",
            FIREWALL_CMD,
            network.firewalld,
            "firewall-cmd --permanent --zone=public --add-port=6443/tcp",
        ),
        ("ufw", UFW, network.ufw, "ufw allow 6443/tcp"),
    ],
)
def test_a_firewall_that_would_keep_a_node_from_working_is_told_with_the_commands(
    name: str, script: str, check: Check, mend: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(script)
    (tmp_path / name).chmod(0o755)
    machine = seen(f"{PLANE_ETH0}mount --bind {tmp_path} /usr/local/sbin", PLANE)
    (result,) = check(machine, LAB)
    assert str(result.state) == "fail"
    assert mend in result.fix


DROP = {
    "forward": "iptables -P FORWARD DROP",
    "let through": "iptables -P FORWARD DROP; iptables -A FORWARD -s 10.244.0.0/16 -j ACCEPT",
    "input": "iptables -P INPUT DROP",
    "user": "iptables -N DOCKER-USER; iptables -A DOCKER-USER -j DROP",
    "user outside": "iptables -N DOCKER-USER; iptables -A DOCKER-USER -i eth0 -j DROP",
}


@pytest.mark.parametrize(
    ("use", "rules", "expected"),
    [
        (NODE, "forward", ["fail"]),
        (NODE, "let through", ["ok"]),
        (NODE, "input", ["warn"]),
        (HOST, "user", ["warn"]),
        (HOST, "user outside", ["ok"]),
        (HOST, "forward", ["ok"]),
    ],
)
def test_filters_that_drop_what_nodes_send_are_found(
    use: Use, rules: str, expected: list[str]
) -> None:
    assert states(network.firewall(seen(DROP[rules], use), cluster())) == expected


def test_who_is_not_root_sees_no_filters_but_all_else() -> None:
    look = "machine_look.look({'places': {}, 'address': '', 'addresses': [], 'ways': []})"
    imports = "import json\nfrom slipway.on_node import machine_look"
    (line,) = python(imports, f"print(json.dumps({look}))", DROP["user"], user=NOBODY)
    found = json.loads(line)
    machine = Machine("localhost", HOST, found["facts"], found["unknown"])
    assert [*machine.unknown] == ["filters"]
    assert states(network.firewall(machine, cluster())) == ["ok"]


NEIGHBOUR = f"""
{PLANE_ETH0}
unshare --net sleep 20 </dev/null >/dev/null 2>&1 &
neighbour=$!
ours=$(readlink /proc/self/ns/net)
until [ "$(readlink /proc/$neighbour/ns/net)" != "$ours" ]; do sleep 0.01; done
ip link set wire netns $neighbour
nsenter --net=/proc/$neighbour/ns/net sh -euc '
    ip address add 192.0.2.203/24 dev wire
    ip address add 192.0.2.11/24 dev wire
    ip link set wire up
'
until ip link show eth0 | grep -q LOWER_UP; do sleep 0.01; done
"""
"""Another machine on the segment, which has an address of the pool, and the control plane's."""


@pytest.mark.parametrize(
    ("address", "check", "expected"),
    [
        (203, network.pool, [("fail", "somebody on the segment has 192.0.2.203 of metallb_pool")]),
        (204, network.pool, [("ok", "2 addresses asked for, nobody has one")]),
        (11, network.address, [("fail", "somebody else on the segment has 192.0.2.11, too")]),
        (11, network.pool, [("ok", "2 addresses asked for, nobody has one")]),
    ],
)
def test_an_address_that_a_neighbour_has_is_found(
    address: int,
    check: Check,
    expected: list[tuple[str, str]],
) -> None:
    asked = ["192.0.2.202", f"192.0.2.{address}"]
    machine = seen(NEIGHBOUR, PLANE, address="192.0.2.11", addresses=asked)
    assert told(check(machine, LAB)) == expected

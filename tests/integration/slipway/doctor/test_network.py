"""Networks, routes, filters and neighbours that are really there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pytest

from slipway.doctor import network
from slipway.doctor.findings import Result
from slipway.doctor.machine import Cluster, Machine, Use
from tests.support.machines import MACHINES, cluster, told
from tests.support.made import NOBODY, python, seen

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
    machine = seen(f"{VPN}; ip route add 172.29.0.0/16 dev tun0", under=["env", "PATH=/none"])
    assert states(network.ranges(machine, cluster())) == ["fail"]


@pytest.mark.parametrize(
    ("address", "state", "words"),
    [
        ("192.0.2.11/24", "ok", "192.0.2.11 on eth0"),
        ("10.0.0.5/24", "fail", "192.0.2.11 is no address of it; it has 10.0.0.5"),
        ("192.0.2.11/28", "fail", "worker (192.0.2.21) not on its segment"),
    ],
)
def test_a_node_s_address_is_its_own_and_on_the_segment_of_the_others(
    address: str, state: str, words: str
) -> None:
    machine = seen(ETH0.format(address=address), PLANE)
    ((found_state, found),) = told(network.address(machine, LAB))
    assert found_state == state
    assert words in found


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
    look = "machine_look.look({'places': {}, 'address': '', 'addresses': []})"
    imports = "import json\nfrom plugins.modules import machine_look"
    (line,) = python(imports, f"print(json.dumps({look}))", DROP["user"], user=NOBODY)
    found = json.loads(line)
    machine = Machine("localhost", HOST, found["facts"], found["unknown"])
    assert [*machine.unknown] == ["filters"]
    assert states(network.firewall(machine, cluster())) == ["ok"]


NEIGHBOUR = f"""
{PLANE_ETH0}
unshare --net sleep 5 </dev/null >/dev/null 2>&1 &
neighbour=$!
ours=$(readlink /proc/self/ns/net)
until [ "$(readlink /proc/$neighbour/ns/net)" != "$ours" ]; do sleep 0.01; done
ip link set wire netns $neighbour
nsenter --net=/proc/$neighbour/ns/net sh -euc '
    ip address add 192.0.2.203/24 dev wire
    ip link set wire up
'
until ip link show eth0 | grep -q LOWER_UP; do sleep 0.01; done
"""
"""Another machine on the segment, which has an address of the pool."""


@pytest.mark.parametrize(
    ("address", "check", "expected"),
    [
        (203, network.pool, [("fail", "somebody on the segment has 192.0.2.203 of metallb_pool")]),
        (204, network.pool, [("ok", "2 addresses asked for, nobody has one")]),
    ],
)
def test_an_address_of_the_pool_that_a_neighbour_has_is_found(
    address: int,
    check: Callable[[Machine, Cluster], Iterable[Result]],
    expected: list[tuple[str, str]],
) -> None:
    asked = ["192.0.2.202", f"192.0.2.{address}"]
    machine = seen(NEIGHBOUR, PLANE, address="192.0.2.11", addresses=asked)
    assert told(check(machine, LAB)) == expected

"""Packets that get through, and addresses that nobody else has."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from slipway.doctor import network
from slipway.doctor.findings import Result
from slipway.doctor.machine import Machine, Use
from tests.support.machines import MACHINES, SOUND, Check, cluster, machine, told

NODE, HOST, CONTROL, PLANE = Use.WORKER, Use.HOST, Use.CONTROL_NODE, Use.CONTROL_PLANE
LAB = cluster(inventory=MACHINES)


@pytest.mark.parametrize(
    ("use", "which"),
    [(HOST, cluster()), (CONTROL, LAB), (PLANE, LAB)],
)
def test_a_sound_machine_has_nothing_against_it(use: Use, which: Any) -> None:
    for check in network.CHECKS:
        assert {state for state, _ in told(check(machine(use), which))} <= {"ok"}


@pytest.mark.parametrize(
    ("use", "made", "has", "expected"),
    [
        (HOST, True, {"on": False}, "warn"),
        (HOST, False, {}, "ok"),
        (NODE, False, {"ended_by": ["/etc/sysctl.d/99-sysctl.conf"]}, "fail"),
        (NODE, True, {"ended_by": ["/etc/sysctl.d/99-sysctl.conf"]}, "warn"),
        (HOST, False, {"ended_by": ["/etc/sysctl.d/99-sysctl.conf"]}, "ok"),
    ],
)
def test_packets_are_to_be_forwarded_now_and_after_the_next_boot(
    use: Use, made: bool, has: dict[str, Any], expected: str
) -> None:
    found = machine(use, made=made, forwarding=has)
    assert told(network.forwarding(found, cluster(made=made)))[0][0] == expected


@pytest.mark.parametrize("use", [HOST, NODE])  # of a host, the engine does
def test_packets_that_are_not_forwarded_yet_are_once_a_run_is_through(use: Use) -> None:
    found = machine(use, forwarding={"on": False})
    assert told(network.forwarding(found, cluster())) == [("ok", "off; a run turns it on")]
    assert told(network.forwarding(machine(use), cluster())) == [("ok", "on")]


@pytest.mark.parametrize(
    ("use", "filters", "expected"),
    [
        (NODE, {"forward": ["iptables FORWARD"]}, ["fail"]),
        (NODE, {"forward": ["nftables ip filter FORWARD\nip saddr 10.244.0.0/16 accept"]}, ["ok"]),
        (NODE, {"input": ["iptables INPUT"]}, ["warn"]),
        # Of these two, their own checks tell.
        (NODE, {"forward": ["nftables ip filter FORWARD\njump ufw-before-forward"]}, ["ok"]),
        (NODE, {"input": ["iptables INPUT\n-A INPUT -j ufw-before-input"]}, ["ok"]),
        (NODE, {"forward": ["nftables inet firewalld filter_FORWARD\nx"]}, ["ok"]),
        (NODE, {"forward": ["iptables FORWARD"], "input": ["iptables INPUT"]}, ["fail", "warn"]),
        (NODE, {"user": ["-A DOCKER-USER -j DROP"]}, ["ok"]),
        # Docker's own rules stand behind its policy.
        (HOST, {"forward": ["iptables FORWARD"]}, ["ok"]),
        (HOST, {"user": ["-A DOCKER-USER -j RETURN"]}, ["ok"]),
        (HOST, {"user": ["-A DOCKER-USER -j DROP"]}, ["warn"]),
        (HOST, {"user": ["-A DOCKER-USER -i br-1 -j REJECT --reject-with x"]}, ["warn"]),
        (HOST, {"user": ["-A DOCKER-USER -i eth0 -j DROP"]}, ["ok"]),
        (CONTROL, {"user": ["-A DOCKER-USER -j DROP"]}, []),
    ],
)
def test_filters_have_to_let_packets_of_nodes_and_pods_through(
    use: Use, filters: dict[str, list[str]], expected: list[str]
) -> None:
    results = network.firewall(machine(use, filters=filters), cluster())
    assert [state for state, _ in told(results)] == expected


def test_filters_are_told_with_what_they_have_to_let_through() -> None:
    found = machine(PLANE, filters={"forward": ["iptables FORWARD"], "input": ["iptables INPUT"]})
    forward, into = network.firewall(found, LAB)
    assert "10.244.0.0/16" in forward.fix
    assert all(port in into.fix for port in ("6443/tcp", "2379-2380/tcp", "7946/udp", "443/tcp"))
    _, into = network.firewall(
        machine(NODE, filters={"forward": ["x"], "input": ["iptables INPUT"]}), LAB
    )
    assert "6443" not in into.fix


ZONES = "public (active)\n  target: default\n  interfaces: eth0\n  sources: \n  ports: \n"
FIREWALLD = {"default": "public", "zones": ZONES.splitlines()}
UFW = {
    "status": [
        "Status: active",
        "Logging: on (low)",
        "Default: deny (incoming), allow (outgoing), deny (routed)",
    ],
    "added": ["(None)"],
}


def test_firewalld_is_told_with_the_commands_for_what_the_node_needs() -> None:
    (result,) = network.firewalld(machine(PLANE, firewalld=FIREWALLD), LAB)
    assert (str(result.state), result.found) == ("fail", "keeps from it what nodes need")
    first, *commands = result.fix.splitlines()
    assert first == "as root there:"
    assert [line.strip().partition(" --")[0] for line in commands] == ["firewall-cmd"] * 3
    assert "--zone=public --add-port=6443/tcp" in result.fix
    (result,) = network.firewalld(machine(NODE, firewalld=FIREWALLD), LAB)
    assert "--add-port=6443/tcp" not in result.fix


def test_ufw_is_told_with_the_commands_for_what_the_node_needs() -> None:
    (result,) = network.ufw(machine(NODE, ufw=UFW), LAB)
    assert (str(result.state), result.found) == ("fail", "keeps from it what nodes need")
    assert "        ufw allow 10250/tcp\n" in result.fix
    assert "        ufw allow from 10.244.0.0/16\n" in result.fix


def test_a_firewall_that_lets_through_what_nodes_need_will_do() -> None:
    trusted = {"default": "trusted", "zones": ["trusted", "  target: ACCEPT"]}
    through = [("ok", "lets through what nodes need")]
    assert told(network.firewalld(machine(PLANE, firewalld=trusted), LAB)) == through
    status = ["Status: active", "Default: allow (incoming), allow (outgoing), allow (routed)"]
    assert told(network.ufw(machine(PLANE, ufw={"status": status}), LAB)) == through


@pytest.mark.parametrize("use", [NODE, HOST])
def test_a_firewall_that_does_not_run_is_none_and_a_host_s_is_its_engine_s(use: Use) -> None:
    runs = use is HOST
    firewalld = FIREWALLD if runs else {}
    ufw = UFW if runs else {"status": ["Status: inactive"]}
    found = machine(use, firewalld=firewalld, ufw=ufw)
    assert [*network.firewalld(found, LAB), *network.ufw(found, LAB)] == []


@pytest.mark.parametrize("check", [network.firewalld, network.ufw])
def test_a_node_that_works_is_not_stopped_for_its_firewall(check: Check) -> None:
    found = machine(NODE, made=True, firewalld=FIREWALLD, ufw=UFW)
    assert [state for state, _ in told(check(found, LAB))] == ["warn"]


def test_a_node_that_works_is_not_stopped_for_its_filters() -> None:
    found = machine(NODE, made=True, filters={"forward": ["iptables FORWARD"]})
    assert [state for state, _ in told(network.firewall(found, LAB))] == ["warn"]


def test_who_is_not_root_sees_no_filters_and_is_not_bothered_with_that() -> None:
    facts = {name: fact for name, fact in SOUND.items() if name != "filters"}
    facts["system"] = facts["system"] | {"user": 1000}
    found = Machine("localhost", HOST, facts, {"filters": "only root sees them"})
    assert told(network.firewall(found, cluster())) == [("ok", "only root sees them")]


def way(to: str, device: str = "tun0", protocol: str = "") -> dict[str, str]:
    """A route."""
    return {"to": to, "device": device, "protocol": protocol}


@pytest.mark.parametrize(
    ("use", "route", "expected"),
    [
        (HOST, way("172.29.0.0/16"), "fail"),
        (HOST, way("172.29.64.0/18"), "fail"),
        (HOST, way("172.29.0.7"), "fail"),
        (HOST, way("172.16.0.0/12"), "warn"),
        (HOST, way("172.29.0.0/16", "br-1bf5d395abea"), "ok"),  # the engine is asked
        (HOST, way("10.244.0.0/16"), "warn"),
        (HOST, way("10.96.0.0/12"), "warn"),
        (HOST, way("10.244.3.0/24", "br-1bf5d395abea"), "warn"),
        (HOST, way("0.0.0.0/1"), "ok"),
        (HOST, way("fd00::/64"), "ok"),
        (HOST, way("192.168.1.0/24"), "ok"),
        (NODE, way("10.244.0.0/16"), "fail"),
        (NODE, way("10.96.5.0/24"), "fail"),
        (NODE, way("10.240.0.0/12"), "warn"),
        (NODE, way("10.244.1.0/24", "cni0"), "ok"),
        (NODE, way("10.244.2.0/24", "eth0", "217"), "ok"),
        (NODE, way("172.29.0.0/16"), "ok"),
        (CONTROL, way("10.244.0.0/16"), ""),
    ],
)
def test_ranges_that_are_in_use_are_found(use: Use, route: dict[str, str], expected: str) -> None:
    results = told(network.ranges(machine(use, routes=[route]), cluster()))
    assert [state for state, _ in results] == ([expected] if expected else [])


def test_a_second_way_to_the_nodes_is_found_beside_their_own() -> None:
    routes = [way("172.29.0.0/16"), way("172.29.0.0/16", "br-1bf5d395abea")]
    for found in (routes, routes[::-1]):
        results = told(network.ranges(machine(HOST, routes=found), cluster()))
        assert [state for state, _ in results] == ["fail"]


def test_a_range_that_is_taken_is_told_with_one_that_is_free() -> None:
    found = machine(HOST, routes=[way("172.29.0.0/16"), way("172.31.0.0/16")])
    (result,) = network.ranges(found, cluster())
    assert "172.29.0.0/16 overlaps with 172.29.0.0/16, the way to which is tun0" in result.found
    assert result.fix == (
        "set node_containers_subnet to a range that nothing else uses, such as 172.30.0.0/16"
    )


@pytest.mark.parametrize(("routed", "expected"), [(True, "warn"), (False, "ok")])
def test_ways_to_pods_are_those_of_another_pod_network_if_there_is_one(
    routed: bool, expected: str
) -> None:
    found = machine(NODE, made=True, routes=[way("10.244.1.0/24", "flannel.1")])
    which = cluster(inventory=MACHINES, routed=routed)
    assert told(network.ranges(found, which))[0][0] == expected


@pytest.mark.parametrize(
    ("like", "used", "expected"),
    [
        ("172.29.0.0/16", [], "172.31.0.0/16"),
        ("172.29.0.0/16", ["172.16.0.0/12"], "10.255.0.0/16"),
        ("10.0.0.0/9", ["172.16.0.0/12"], "10.128.0.0/9"),
        ("10.0.0.0/8", ["10.2.0.0/24"], ""),
        ("fd01::/64", ["fd00::/9"], "fdff:ffff:ffff:ffff::/64"),
    ],
)
def test_a_free_range_overlaps_with_none_that_is_used(
    like: str, used: list[str], expected: str
) -> None:
    assert network.free_range(ip_network(like), map(ip_network, used)) == expected


def has(*addresses: str) -> list[dict[str, Any]]:
    """The addresses of a machine, each as ``address/length``."""
    parts = (each.partition("/") for each in addresses)
    return [{"address": a, "length": int(n), "device": "eth0"} for a, _, n in parts]


@pytest.mark.parametrize(
    ("addresses", "state", "words"),
    [
        (has("192.0.2.11/24"), "ok", "192.0.2.11 on eth0, 192.0.2.0/24"),
        (has("192.0.2.11/28"), "ok", "192.0.2.11 on eth0, 192.0.2.0/28"),
        (has("10.0.0.5/24"), "fail", "192.0.2.11 is none of its addresses (10.0.0.5/24 on eth0)"),
        ([], "fail", "it has none"),
        (has("127.0.0.1/8", "fe80::1/64", "10.0.0.5/20"), "fail", "(10.0.0.5/20 on eth0)"),
    ],
)
def test_a_node_has_to_have_its_address(
    addresses: list[dict[str, Any]], state: str, words: str
) -> None:
    ((found_state, found),) = told(network.address(machine(PLANE, addresses=addresses), LAB))
    assert found_state == state
    assert words in found


def test_an_address_that_it_does_not_have_is_mended_in_the_inventory() -> None:
    (result,) = network.address(machine(PLANE, addresses=has("10.0.0.5/24")), LAB)
    assert "node_address" in result.fix


THREE = replace(MACHINES, nodes={**MACHINES.nodes, "three": "192.0.2.22"})
DIRECT = "192.0.2.22 dev eth0 src 192.0.2.11 uid 0 \\    cache"
BEYOND = {
    "192.0.2.22": "192.0.2.22 via 192.0.2.1 dev eth0 src 192.0.2.11 uid 0 \\    cache",
    "192.0.2.220": "",
}


def segment(ways: dict[str, str], *, made: bool = False, **changes: Any) -> list[Result]:
    """What is said of the segment of a node with two others and these ways."""
    found = machine(PLANE, made=made, ways={"192.0.2.22": DIRECT, **ways})
    return [*network.segment(found, cluster(**{"inventory": THREE, **changes}))]


def test_nodes_on_one_segment_with_addresses_for_services_will_do() -> None:
    assert told(segment({})) == [("ok", "all nodes and metallb_pool")]
    assert [*network.segment(machine(HOST), LAB)] == []


def test_nodes_and_addresses_for_services_have_to_be_on_its_segment() -> None:
    nodes, pool = segment(BEYOND)
    at = "192.0.2.11/24 on eth0"
    assert (str(nodes.state), nodes.found) == (
        "fail",
        f"nodes that are not on that of {at}: three 192.0.2.22 (by 192.0.2.1)",
    )
    assert "pod_network_manifest" in nodes.fix
    assert (str(pool.state), pool.found) == (
        "fail",
        "addresses for services that are not on that of "
        f"{at}: metallb_pool 192.0.2.220 (by no way)",
    )
    assert "ip route add RANGE dev INTERFACE" in pool.fix
    assert [str(each.state) for each in segment(BEYOND, made=True)] == ["warn", "warn"]


def test_another_pod_network_reaches_nodes_on_other_segments_and_the_pool_does_not() -> None:
    (pool,) = segment(BEYOND, routed=False)
    assert "metallb_pool 192.0.2.220" in pool.found
    assert told(segment({"192.0.2.22": ""}, routed=False)) == [("ok", "metallb_pool")]


@pytest.mark.parametrize(
    ("way", "by"),
    [
        ("192.0.2.22 via inet6 fe80::1 dev eth0 src 192.0.2.11 uid 0", "by fe80::1"),
        ("192.0.2.22 from :: via fe80::2 dev eth0 proto ra", "by fe80::2"),
        ("unreachable 192.0.2.22 dev lo", "by no way"),
        ("blackhole 192.0.2.22", "by no way"),
        ("RTNETLINK answers: Network is unreachable", "by no way"),
        ("", "by no way"),
    ],
)
def test_a_way_through_a_router_or_none_is_not_on_the_segment(way: str, by: str) -> None:
    (nodes,) = segment({"192.0.2.22": way})
    assert nodes.found.endswith(f": three 192.0.2.22 ({by})")


def test_an_address_of_its_own_is_on_its_segment() -> None:
    own = {"192.0.2.200": "local 192.0.2.200 dev lo src 192.0.2.200 uid 0"}
    assert told(segment(own))[0][0] == "ok"


def test_addresses_are_compared_however_they_are_written() -> None:
    nodes = {"control": "2001:DB8:0:0::21", "worker": "2001:DB8::0:11"}
    way = "2001:db8::11 from :: dev eth0 proto kernel src 2001:db8::21 metric 256"
    found = machine(PLANE, ways={"2001:DB8::0:11": way}, addresses=has("2001:db8::21/64"))
    which = cluster(inventory=replace(MACHINES, nodes=nodes, pool=[]))
    assert told(network.address(found, which))[0][0] == "ok"
    assert told(network.segment(found, which))[0][0] == "ok"


def test_what_is_no_address_is_left_to_the_look_at_the_inventory() -> None:
    nodes = {"control": "192.0.2.11", "worker": "worker.example.org; reboot"}
    which = cluster(inventory=replace(MACHINES, nodes=nodes, pool=["wrong"]))
    assert told(network.segment(machine(PLANE), which))[0][0] == "ok"
    itself = machine(NODE)
    assert [*network.address(itself, which), *network.segment(itself, which)] == []


def test_nothing_is_said_of_the_segment_of_a_node_that_has_another_address() -> None:
    found = machine(PLANE, ways=BEYOND, addresses=has("10.0.0.5/24"))
    assert [*network.segment(found, LAB)] == []


@pytest.mark.parametrize(
    ("use", "taken", "expected"),
    [
        (PLANE, {"found": ["192.0.2.200"]}, ["fail"]),
        (PLANE, {}, ["ok"]),
        (PLANE, {"asked": 0}, []),
        (NODE, {"found": ["192.0.2.200"]}, []),
    ],
)
def test_nobody_may_have_an_address_of_the_pool(
    use: Use, taken: dict[str, Any], expected: list[str]
) -> None:
    results = told(network.pool(machine(use, taken=taken), LAB))
    assert [state for state, _ in results] == expected

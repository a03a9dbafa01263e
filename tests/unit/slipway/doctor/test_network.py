"""Packets that get through, and addresses that nobody else has."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from slipway.doctor import network
from slipway.doctor.machine import Machine, Use
from tests.support.machines import MACHINES, SOUND, cluster, machine, told

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
        (has("10.0.0.5/24"), "fail", "192.0.2.11 is no address of it; it has 10.0.0.5"),
        ([], "fail", "it has none"),
        (has("127.0.0.1/8", "fe80::1/64", "10.0.0.5/24"), "fail", "of it; it has 10.0.0.5"),
        (has("192.0.2.11/28"), "fail", "worker (192.0.2.21) not on its segment 192.0.2.0/28"),
    ],
)
def test_a_node_has_to_have_its_address_on_the_segment_of_the_others(
    addresses: list[dict[str, Any]], state: str, words: str
) -> None:
    ((found_state, found),) = told(network.address(machine(PLANE, addresses=addresses), LAB))
    assert found_state == state
    assert words in found


def test_another_pod_network_reaches_nodes_on_other_segments() -> None:
    found = machine(PLANE, addresses=has("192.0.2.11/28"))
    which = cluster(inventory=MACHINES, routed=False)
    assert told(network.address(found, which))[0][0] == "ok"


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

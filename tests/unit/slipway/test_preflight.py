"""Mistakes that are found before anything is changed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from slipway import preflight
from slipway.nodes import containers
from slipway.preflight import (
    Inventory,
    address_of,
    addresses,
    apps_file,
    groups,
    in_pool,
    pool_ends,
    pool_range,
    ports,
    running_cluster,
)

CONTAINERS = Inventory(
    nodes={"control": "172.29.0.2", "worker": "172.29.0.3"},
    control_plane=["control"],
    pool=["172.29.255.200-172.29.255.250"],
    pod_subnet="10.244.0.0/16",
    service_subnet="10.96.0.0/16",
    segment="172.29.0.0/16",
)
MACHINES = replace(CONTAINERS, segment="")


def said(inventory: Inventory) -> list[str]:
    """Each problem in one line, without its fix."""
    return [f"{problem.where}: {problem.what}" for problem in addresses(inventory)]


@pytest.mark.parametrize(
    "inventory",
    [
        CONTAINERS,
        MACHINES,
        replace(CONTAINERS, pool=["172.29.255.192/27", "172.29.254.1"]),
        replace(MACHINES, nodes={"control": "192.0.2.1"}, pool=["198.51.100.0/28"]),
        replace(
            MACHINES,
            nodes={"control": "2001:db8::1"},
            pool=["2001:db8::200-2001:db8::220"],
            pod_subnet="fd00:10::/64",
        ),
    ],
)
def test_a_sound_inventory_has_no_problem(inventory: Inventory) -> None:
    assert addresses(inventory) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"control_plane": []}, "inventory: there is no node for the control plane"),
        (
            {"nodes": {"control": "control.example.org"}},
            "inventory control.node_address: 'control.example.org' is not an address",
        ),
        (
            {"nodes": {"control": "172.29.0.2", "worker": "172.29.0.2"}},
            "inventory worker.node_address: 172.29.0.2 is control's address",
        ),
        (
            {
                "segment": "",
                "pool": ["2001:db8::/124"],
                "nodes": {"control": "2001:db8::11", "worker": "2001:DB8:0::11"},
            },
            "inventory worker.node_address: 2001:DB8:0::11 is control's address",
        ),
        (
            {"nodes": {"control": "192.0.2.1"}},
            "inventory control.node_address: 192.0.2.1 is not in the nodes' network 172.29.0.0/16",
        ),
        ({"pool": []}, "inventory metallb_pool: has no address"),
        (
            {"pool": ["172.29.255.250-172.29.255.200"]},
            "inventory metallb_pool: '172.29.255.250-172.29.255.200' does not go from a lower to "
            "a higher address",
        ),
        (
            {"pool": ["172.29.255.200-2001:db8::1"]},
            "inventory metallb_pool: '172.29.255.200-2001:db8::1' does not go from a lower to a "
            "higher address",
        ),
        (
            {"pool": ["172.29.255.200-250"]},
            "inventory metallb_pool: '250' does not appear to be an IPv4 or IPv6 address",
        ),
        (
            {"pool": ["172.29.255.200/24"]},
            "inventory metallb_pool: 172.29.255.200/24 has host bits set",
        ),
        (
            {"pool": ["172.29.255.200-172.30.0.5"]},
            "inventory metallb_pool: 172.29.255.200-172.30.0.5 is not in the nodes' network "
            "172.29.0.0/16",
        ),
        (
            {"pool": ["172.29.0.3/32"]},
            "inventory metallb_pool: 172.29.0.3/32 has the address 172.29.0.3 of worker in it",
        ),
        (
            {"pod_subnet": "10.244.0.1/16"},
            "inventory slipway_pod_subnet: 10.244.0.1/16 has host bits set",
        ),
        (
            {"service_subnet": "10.244.128.0/20"},
            "inventory slipway_pod_subnet: 10.244.0.0/16 overlaps with slipway_service_subnet "
            "10.244.128.0/20",
        ),
        (
            {"pod_subnet": "172.16.0.0/12"},
            "inventory slipway_pod_subnet: 172.16.0.0/12 overlaps with node_containers_subnet "
            "172.29.0.0/16",
        ),
        (
            {"segment": "somewhere"},
            "inventory node_containers_subnet: 'somewhere' does not appear to be an IPv4 or IPv6 "
            "network",
        ),
    ],
)
def test_one_mistake_is_one_problem(changes: dict[str, Any], problem: str) -> None:
    assert said(replace(CONTAINERS, **changes)) == [problem]


def test_every_mistake_is_told_at_once_and_with_its_fix() -> None:
    found = addresses(
        Inventory(
            nodes={"a": "x", "b": "192.0.2.1", "c": "192.0.2.1"},
            control_plane=[],
            pool=["192.0.2.0/30", "y"],
            pod_subnet="10.0.0.0/8",
            service_subnet="10.96.0.0/16",
            segment="172.29.0.0/16",
        )
    )
    assert [problem.where for problem in found] == [
        "inventory",
        "inventory a.node_address",
        "inventory b.node_address",
        "inventory c.node_address",
        "inventory c.node_address",
        "inventory metallb_pool",
        "inventory metallb_pool",
        "inventory metallb_pool",
        "inventory metallb_pool",
        "inventory slipway_pod_subnet",
    ]
    assert all(problem.fix for problem in found)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("192.0.2.200-192.0.2.220", "192.0.2.200", "192.0.2.220"),
        ("192.0.2.200 - 192.0.2.200", "192.0.2.200", "192.0.2.200"),
        ("192.0.2.192/27", "192.0.2.192", "192.0.2.223"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("2001:db8::10-2001:db8::1f", "2001:db8::10", "2001:db8::1f"),
    ],
)
def test_ranges_are_read_as_metallb_reads_them(text: str, first: str, last: str) -> None:
    assert pool_range(text) == (ip_address(first), ip_address(last))


def test_the_ends_of_a_pool_are_those_of_all_its_ranges_that_are_ranges() -> None:
    pool = ["192.0.2.200-192.0.2.220", "wrong", "2001:db8::/127"]
    assert pool_ends(pool) == ["192.0.2.200", "192.0.2.220", "2001:db8::", "2001:db8::1"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.200", True),
        ("192.0.2.220", True),
        ("192.0.2.221", False),
        ("198.51.100.9", True),
        ("2001:db8::1", False),
        ("::c000:2c8", False),
        ("shop.example.test", False),
    ],
)
def test_an_address_is_in_the_pool_if_it_is_in_one_of_its_ranges(
    address: str, expected: bool
) -> None:
    pool = ["no range", "192.0.2.200-192.0.2.220", "198.51.100.8/30"]
    assert in_pool(pool, address_of(address)) is expected


SEGMENT = "172.29.0.0/16"


@pytest.fixture
def listening() -> Iterator[int]:
    """A port of this machine at which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    """One at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_ports_that_are_free_or_not_wanted_are_sound() -> None:
    assert ports("lab", {}, SEGMENT) == ports("lab", {}, "") == []
    assert ports("lab", {"http": free_port(), "https": free_port()}, SEGMENT) == []


def test_a_port_that_something_else_has_is_told_with_the_ways_out(
    monkeypatch: pytest.MonkeyPatch, listening: int
) -> None:
    monkeypatch.setattr(containers, "published", lambda _cluster: {1})
    [problem] = ports("lab", {"http": listening, "https": free_port()}, SEGMENT)
    assert problem.where == "inventory slipway_published_ports"
    assert problem.what == f"port {listening} of 127.0.0.1 is in use on this machine"
    assert all(way in problem.fix for way in ("ss -ltnp", "http: 8080", "{}"))


def test_a_port_of_the_cluster_s_own_nodes_is_theirs(
    monkeypatch: pytest.MonkeyPatch, listening: int
) -> None:
    monkeypatch.setattr(containers, "published", {"lab": {listening}, "other": set()}.get)
    wanted = {"http": listening, "https": free_port()}
    assert ports("lab", wanted, SEGMENT) == []
    assert len(ports("other", wanted, SEGMENT)) == 1


def test_the_engine_is_not_asked_about_ports_that_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "published", lambda _cluster: pytest.fail("it was asked"))
    assert ports("lab", {"http": free_port(), "https": free_port()}, SEGMENT) == []


def test_a_browser_that_would_find_something_else_at_the_other_address_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight, "_is_answered", lambda _address, port: port == 80)
    monkeypatch.setattr(containers, "published", lambda _cluster: {80, 443})
    [problem] = ports("lab", {"http": 80, "https": 443}, SEGMENT)
    assert problem.what == "port 80 of 127.0.0.1 and ::1 is in use on this machine"


@pytest.mark.parametrize(
    "wanted",
    [
        {"http": 80},
        {"http": 80, "https": 443, "ssh": 22},
        {"http": 80, "https": 80},
        {"http": 80, "https": "secure"},
        {"http": 0, "https": 443},
        {"http": 80, "https": 65536},
    ],
)
def test_ports_are_two_or_none(wanted: dict[str, Any]) -> None:
    [problem] = ports("lab", wanted, SEGMENT)
    assert problem.what == f"is {wanted}, and not two ports"


def test_machines_have_no_ports_here() -> None:
    [problem] = ports("lab", {"http": 80, "https": 443}, "")
    assert problem.what == "is for nodes that are containers"


def test_every_mistake_of_the_apps_is_told(tmp_path: Path) -> None:
    path = tmp_path / "apps.yml"
    assert [problem.what for problem in apps_file(path)] == [
        "cannot be read: No such file or directory"
    ]
    path.write_text("version: 1\napps:\n  - {name: Greeter, git_url: /a.git, port: 0}\n")
    assert [problem.where for problem in apps_file(path)] == [
        "apps.yml:3 apps[0].name",
        "apps.yml:3 apps[0].port",
    ]
    path.write_text("version: 1\napps:\n  - {name: greeter, git_url: /a.git}\n")
    assert apps_file(path) == []


@pytest.mark.parametrize(
    ("nodes", "control_plane", "workers"),
    [
        (["control", "worker"], ["control"], ["worker"]),
        (["control"], ["control"], []),
    ],
)
def test_one_control_plane_with_or_without_workers_is_sound(
    nodes: list[str], control_plane: list[str], workers: list[str]
) -> None:
    assert groups(nodes, control_plane, workers) == []


@pytest.mark.parametrize(
    ("nodes", "control_plane", "workers", "problem"),
    [
        (
            ["a", "b"],
            ["a", "b"],
            [],
            "inventory control_plane: has 2 hosts (a, b), which go on without no more of them than "
            "1 do: etcd needs more than half",
        ),
        (["a", "b"], ["a"], ["b", "a"], "inventory a: is in the groups control_plane and workers"),
        (
            ["a", "b"],
            ["a"],
            [],
            "inventory b: is in the group nodes, but neither in control_plane nor in workers",
        ),
        (["a"], ["a"], ["b"], "inventory b: is to be a node, but is not in the group nodes"),
    ],
)
def test_a_mistake_in_the_groups_is_one_problem_with_its_fix(
    nodes: list[str], control_plane: list[str], workers: list[str], problem: str
) -> None:
    (found,) = groups(nodes, control_plane, workers)
    assert f"{found.where}: {found.what}" == problem
    assert found.fix


@pytest.mark.parametrize("count", [1, 3, 5])
def test_an_odd_number_of_control_planes_is_none(count: int) -> None:
    names = [f"node-{number}" for number in range(count)]
    assert groups(names, names, []) == []


THREE = replace(
    MACHINES,
    nodes={"a": "192.0.2.11", "b": "192.0.2.12", "c": "192.0.2.13"},
    control_plane=["a", "b", "c"],
    pool=["192.0.2.200/29"],
)


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        ("", "is empty, and 3 control planes need one in common"),
        ("192.0.2.12", "192.0.2.12 is b's address, and would go with it"),
        ("192.0.2.12:443", "192.0.2.12 is b's address, and would go with it"),
        ("192.0.2.201", "192.0.2.201 is in metallb_pool, which gives it to a service"),
    ],
)
def test_several_control_planes_need_an_address_that_outlives_each(api: str, problem: str) -> None:
    assert said(replace(THREE, api=api)) == [f"inventory slipway_api_address: {problem}"]


HOLD = "and load_balancers hold an IPv4 address without a port"


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        ("", f"is '', {HOLD}"),
        ("192.0.2.10:443", f"is '192.0.2.10:443', {HOLD}"),
        ("api.example.org", f"is 'api.example.org', {HOLD}"),
        ("198.51.100.10", "198.51.100.10 is not in the nodes' network 192.0.2.0/24"),
    ],
)
def test_load_balancers_hold_an_address_of_the_nodes_network(api: str, problem: str) -> None:
    inventory = replace(THREE, segment="192.0.2.0/24", load_balancers=["a", "b", "c"])
    assert said(replace(inventory, api=api)) == [f"inventory slipway_api_address: {problem}"]
    assert said(replace(inventory, api="192.0.2.10")) == []


@pytest.mark.parametrize("api", ["192.0.2.10", "192.0.2.10:443", "api.example.org"])
def test_an_address_or_a_name_of_its_own_will_do(api: str) -> None:
    assert said(replace(THREE, api=api)) == []


def test_one_control_plane_may_have_its_own_address() -> None:
    assert said(replace(MACHINES, api="172.29.0.2")) == []


def test_a_cluster_that_does_not_answer_is_no_problem_beforehand(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    assert running_cluster(path, CONTAINERS, "1.36.3") == []
    path.write_text("current-context: nowhere\n")
    assert running_cluster(path, CONTAINERS, "1.36.3") == []

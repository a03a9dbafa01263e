"""Container nodes: what is asked of the engine, and what is told when it will not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, cast

import docker
import pytest
from docker.errors import APIError, DockerException, NotFound

from slipway.errors import SlipwayError
from slipway.nodes import containers
from slipway.nodes.containers import CAP_SYS_RESOURCE, CLUSTER_LABEL, Node

SUBNET = "172.29.0.0/16"


class FakeContainer:
    """A container that answers what its test says."""

    def __init__(self, name: str, status: str = "running", cluster: str = "lab") -> None:
        self.name = name
        self.status = status
        self.labels = {CLUSTER_LABEL: cluster}
        self.states: Iterator[str | Exception] = iter(())
        self.failed_units = ""
        self.said = b"Failed to mount cgroup at /sys/fs/cgroup/systemd\r\n"

    def start(self) -> None:
        """Run."""
        self.status = "running"

    def exec_run(self, argv: list[str]) -> tuple[int, bytes]:
        """systemctl."""
        if "--failed" in argv:
            return 0, self.failed_units.encode()
        state = next(self.states, "running")
        if isinstance(state, Exception):
            raise state
        return 0, f"{state}\n".encode()

    def logs(self) -> bytes:
        """What the init process printed."""
        return self.said


class FakeEngine:
    """The parts of a docker client that nodes are made with."""

    def __init__(self, *existing: FakeContainer) -> None:
        self.found = {container.name: container for container in existing}
        self.networks = self.containers = self.api = self
        self.subnets: dict[str, str] = {}
        self.made: dict[str, Any] = {}
        self.refusal = ""
        # A client that never connects: it only builds requests.
        client = docker.APIClient(base_url="tcp://127.0.0.1:1", version="1.41")
        self.create_host_config = client.create_host_config
        self.create_endpoint_config = client.create_endpoint_config
        self.create_networking_config = client.create_networking_config

    def get(self, name: str) -> Any:
        """A container, or a network."""
        if name in self.subnets:
            network = type("Network", (), {"name": name})()
            network.attrs = {"IPAM": {"Config": [{"Subnet": self.subnets[name]}]}}
            return network
        if name not in self.found:
            raise NotFound(name)
        return self.found[name]

    def list(self, *, all: bool = False) -> list[FakeContainer]:
        """The running containers, or all."""
        return [each for each in self.found.values() if all or each.status == "running"]

    def create(self, name: str, **asked: Any) -> None:
        """Make a network."""
        if self.refusal:
            raise APIError("refused", explanation=self.refusal)
        self.made[name] = asked

    def create_container(self, image: str, *, name: str, **asked: Any) -> None:
        """Make a container."""
        self.made[name] = {"image": image, **asked}
        self.found[name] = FakeContainer(name, "created")

    def as_client(self) -> docker.DockerClient:
        """The type that the functions ask for."""
        return cast(docker.DockerClient, self)


def refused(status: str) -> APIError:
    """What the engine answers instead of running a command."""
    return APIError("409", explanation=status)


def ensure(engine: FakeEngine, *names: str) -> tuple[list[str], list[str]]:
    """Have nodes of these names; return which were touched, and what was said."""
    said: list[str] = []
    nodes = [Node(name, f"172.29.0.{number}") for number, name in enumerate(names, start=2)]
    touched = containers.ensure_nodes(
        engine.as_client(), "lab", nodes, lambda: "slipway-node:1", say=said.append
    )
    return touched, said


@pytest.mark.parametrize(
    ("bounding", "expected"),
    [("000001ffffffffff", True), ("000001fffeffffff", False), ("0000000001000000", True)],
)
def test_capabilities_are_those_that_a_process_may_ever_have(bounding: str, expected: bool) -> None:
    other = "000001ffffffffff" if not expected else "0000000000000000"
    status = f"Name:\tpython\nCapEff:\t{other}\nCapBnd:\t{bounding}\nCapAmb:\t{other}\n"
    assert containers.has_capability(status, CAP_SYS_RESOURCE) is expected


def test_name_servers_are_those_that_other_machines_can_reach() -> None:
    resolv_conf = (
        "# nameserver 9.9.9.9\nsearch example.com\nnameserver 127.0.0.53\n"
        "nameserver 192.0.2.53\nnameserver\t2001:db8::53\nnameserver ::1\noptions edns0\n"
    )
    assert containers.nameservers(resolv_conf) == ["192.0.2.53", "2001:db8::53"]


def test_what_is_no_address_is_no_name_server() -> None:
    resolv_conf = "nameserver dns.example\nnameserver\nnameserver fe80::1%eth0\n"
    assert containers.nameservers(resolv_conf) == ["fe80::1%eth0"]


def test_the_network_is_made_with_the_cluster_s_subnet_and_label() -> None:
    engine = FakeEngine()
    assert containers.ensure_network(engine.as_client(), "lab", SUBNET)
    asked = engine.made["lab"]
    assert asked["ipam"]["Config"][0]["Subnet"] == SUBNET
    assert asked["labels"] == {CLUSTER_LABEL: "lab"}


def test_the_network_is_left_as_it_is() -> None:
    engine = FakeEngine()
    engine.subnets["lab"] = SUBNET
    assert not containers.ensure_network(engine.as_client(), "lab", SUBNET)
    assert engine.made == {}


def test_a_network_with_another_subnet_is_refused() -> None:
    engine = FakeEngine()
    engine.subnets["lab"] = "172.30.0.0/16"
    with pytest.raises(SlipwayError, match=r"lab: has \['172.30.0.0/16'\], not 172.29.0.0/16"):
        containers.ensure_network(engine.as_client(), "lab", SUBNET)


def test_a_subnet_that_is_taken_is_told_with_the_variable_to_set() -> None:
    engine = FakeEngine()
    engine.refusal = "Pool overlaps with other one on this address space"
    with pytest.raises(SlipwayError, match="Pool overlaps") as caught:
        containers.ensure_network(engine.as_client(), "lab", SUBNET)
    assert "node_containers_subnet" in caught.value.problems[0].fix


def test_nodes_are_made_and_started_where_they_are_missing() -> None:
    engine = FakeEngine(FakeContainer("running"), FakeContainer("stopped", "exited"))
    touched, said = ensure(engine, "running", "stopped", "new")
    assert touched == ["new", "stopped"]
    assert said == ["starting new, stopped"]
    assert list(engine.made) == ["new"]
    assert {each.status for each in engine.found.values()} == {"running"}


def test_a_second_time_nothing_is_touched() -> None:
    engine = FakeEngine()
    ensure(engine, "a", "b")
    assert ensure(engine, "a", "b") == ([], [])


def test_a_container_of_somebody_else_is_left_alone() -> None:
    engine = FakeEngine(FakeContainer("a", "exited", cluster="other"))
    with pytest.raises(SlipwayError, match="container a: is not of lab"):
        ensure(engine, "a")
    assert engine.found["a"].status == "exited"


@pytest.mark.parametrize("may", [True, False])
def test_a_node_is_as_near_to_a_machine_as_it_can_be(
    monkeypatch: pytest.MonkeyPatch, may: bool
) -> None:
    monkeypatch.setattr(containers, "has_capability", lambda _status, _bit: may)
    monkeypatch.setattr(containers, "resolv_conf", lambda: "nameserver 192.0.2.53\n")
    engine = FakeEngine()
    ensure(engine, "a")
    asked = engine.made["a"]
    assert asked["image"] == "slipway-node:1"
    assert asked["hostname"] == "a"
    assert asked["tty"]
    assert asked["labels"] == {CLUSTER_LABEL: "lab"}
    assert asked["environment"] == {"SLIPWAY_NAMESERVERS": "192.0.2.53"}
    endpoint = asked["networking_config"]["EndpointsConfig"]["lab"]
    assert endpoint["IPAMConfig"]["IPv4Address"] == "172.29.0.2"
    host = asked["host_config"]
    assert host["CapAdd"] == ["ALL"]
    assert host.get("CapDrop", []) == ([] if may else ["SYS_RESOURCE"])
    assert host["MaskedPaths"] == host["ReadonlyPaths"] == []
    assert host["CgroupnsMode"] == "private"
    var = next(mount for mount in host["Mounts"] if mount["Target"] == "/var")
    assert (var["Type"], var["Source"]) == ("volume", "a-var")
    assert var["VolumeOptions"]["Labels"] == {CLUSTER_LABEL: "lab"}


def test_a_node_that_is_still_booting_is_waited_for() -> None:
    container = FakeContainer("a")
    container.states = iter(["", refused("is restarting"), "starting", "running", "degraded"])
    ensure(FakeEngine(container), "a")
    assert next(container.states) == "degraded"


def test_a_node_whose_units_fail_is_told_with_them() -> None:
    container = FakeContainer("a")
    container.states = iter(["starting", "degraded"])
    container.failed_units = "systemd-sysctl.service loaded failed failed"
    with pytest.raises(SlipwayError, match=r"a: did not boot \(systemd: degraded\)\n.*sysctl"):
        ensure(FakeEngine(container), "a")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"Welcome to Debian\r\n\r\nExiting PID 1...\r\n", "Welcome to Debian|Exiting PID 1..."),
        (
            b"\x1b[!p\x1b]104\x1b\\\x1b[?7hHi\r\n\x1bM\r\x1b[K[\x1b[0;31m!!!!!!\x1b[0m] Failed\r\n",
            "Hi|[!!!!!!] Failed",
        ),
        (b"Failed to mount cgroup\n" * 50, "|".join(["Failed to mount cgroup"] * 20)),
        (b"\r\n", "its init said nothing"),
        (b"", "its init said nothing"),
    ],
)
@pytest.mark.parametrize("state", [refused("container a is restarting"), "starting", "offline"])
def test_a_node_that_never_boots_is_told_with_what_its_init_said_last(
    monkeypatch: pytest.MonkeyPatch, said: bytes, told: str, state: APIError | str
) -> None:
    monkeypatch.setattr(containers, "BOOT_SECONDS", 0.05)
    container = FakeContainer("a")
    container.states, container.said = itertools.repeat(state), said
    with pytest.raises(SlipwayError) as caught:
        ensure(FakeEngine(container), "a")
    first, *last = str(caught.value).splitlines()
    why = state.explanation if isinstance(state, APIError) else state
    assert first == f"a: did not boot (systemd: {why})"
    assert last == [f"    | {line}" for line in told.split("|")]


def test_missing_are_those_that_do_not_run() -> None:
    engine = FakeEngine(FakeContainer("a"), FakeContainer("b", "exited"))
    nodes = [Node(name, "") for name in "abc"]
    missing = containers.missing_nodes(engine.as_client(), nodes)
    assert missing == ["b", "c"]


@pytest.mark.parametrize(
    ("error", "what", "fix"),
    [
        ("('Connection aborted.', PermissionError(13, 'Keine Berechtigung'))", "no right", "group"),
        ("('Connection aborted.', FileNotFoundError(2, 'No such file'))", "no engine", "start it"),
    ],
)
def test_an_engine_that_cannot_be_asked_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: str, what: str, fix: str
) -> None:
    def refuse(**_options: object) -> None:
        raise DockerException(f"Error while fetching server API version: {error}")

    monkeypatch.setattr(docker, "from_env", refuse)
    with pytest.raises(SlipwayError, match=what) as caught:
        containers.connect()
    assert fix in caught.value.problems[0].fix


def test_without_a_socket_there_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(SlipwayError, match="no engine answers"):
        containers.connect()

"""Container nodes: what is asked of the engine, and what is told when it will not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import docker
import pytest
from docker.errors import APIError, DockerException, NotFound

from slipway.errors import SlipwayError
from slipway.nodes import containers
from slipway.nodes.containers import CAP_SYS_RESOURCE, CLUSTER_LABEL, Node

SUBNET = "172.29.0.0/16"


NETWORK_ID = "4d7e"


def endpoint(name: str, network: str = NETWORK_ID, address: str = "") -> dict[str, Any]:
    """A container's place in a network, at the address that ``ensure`` gives to one of its name."""
    given = address or f"172.29.0.{NAMES.index(name) + 2}"
    return {"NetworkID": network, "IPAMConfig": {"IPv4Address": given}}


NAMES = ["a", "b", "c", "running", "stopped", "new"]


class FakeNetwork:
    """A network, and which containers were put into it."""

    def __init__(self, name: str, subnet: str) -> None:
        self.name, self.id = name, NETWORK_ID
        self.attrs = {"IPAM": {"Config": [{"Subnet": subnet}]}}

    def connect(self, container: FakeContainer, ipv4_address: str) -> None:
        """Put a container into it that is not in it and does not run."""
        assert container.status != "running"
        there = container.networks.get(self.name)
        assert not there or there["NetworkID"] != self.id
        container.networks[self.name] = endpoint(container.name, address=ipv4_address)

    def disconnect(self, container: FakeContainer) -> None:
        """Take a container out of it that is in it."""
        assert container.networks.pop(self.name)["NetworkID"] == self.id


class FakeContainer:
    """A container that answers what its test says."""

    def __init__(self, name: str, status: str = "running", cluster: str = "lab") -> None:
        self.name = name
        self.status = status
        self.labels = {CLUSTER_LABEL: cluster}
        self.networks: dict[str, dict[str, Any]] = {cluster: endpoint(name)}
        self.bindings: dict[str, list[dict[str, str]]] | None = None
        self.refusal = ""
        self.started = "2026-01-31T12:00:00.123456789Z"
        self.states: Iterator[str | Exception] = iter(())
        self.failed_units = ""
        self.said = b"Failed to mount cgroup at /sys/fs/cgroup/systemd\r\n"

    @property
    def attrs(self) -> dict[str, Any]:
        """What the engine tells of it."""
        return {
            "State": {"StartedAt": self.started},
            "HostConfig": {"PortBindings": self.bindings},
            "NetworkSettings": {"Networks": self.networks},
        }

    def start(self) -> None:
        """Run."""
        if self.refusal:
            raise APIError("500", explanation=self.refusal)
        if self.status != "running":
            self.status = "running"
            self.started = datetime.now(UTC).isoformat()

    def stop(self) -> None:
        """Stop."""
        self.status = "exited"

    def reload(self) -> None:
        """Ask the engine anew."""

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
        self.subnets: dict[str, str] = {"lab": SUBNET}
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
            return FakeNetwork(name, self.subnets[name])
        if name not in self.found:
            raise NotFound(name)
        return self.found[name]

    def list(
        self, *, all: bool = False, filters: dict[str, str] | None = None
    ) -> list[FakeContainer]:
        """The running containers, or all, or those with a label."""
        return [
            each
            for each in self.found.values()
            if all or each.status == "running"
            if not filters or filters["label"] == f"{CLUSTER_LABEL}={each.labels[CLUSTER_LABEL]}"
        ]

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


def ensure(
    engine: FakeEngine,
    *names: str,
    ports: dict[int, int] | None = None,
    resolv_conf: Path | None = None,
) -> tuple[list[str], list[str]]:
    """Have nodes of these names; return which were touched, and what was said."""
    said: list[str] = []
    nodes = [Node(name, f"172.29.0.{NAMES.index(name) + 2}", ports or {}) for name in names]
    touched = containers.ensure_nodes(
        engine.as_client(),
        "lab",
        nodes,
        lambda: "slipway-node:1",
        say=said.append,
        resolv_conf=resolv_conf,
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


RESOLVED, OWN, MANAGED = (
    "run/systemd/resolve/resolv.conf",
    "etc/resolv.conf",
    "run/NetworkManager/no-stub-resolv.conf",
)
STUB = "nameserver 127.0.0.53\noptions edns0\n"
GOOD = "search example.com\nnameserver 127.0.0.1\nnameserver\t192.0.2.53\n"


@pytest.mark.parametrize(
    ("machine", "followed"),
    [
        ({OWN: GOOD}, OWN),
        ({OWN: "nameserver 2001:db8::53\n"}, OWN),
        ({OWN: STUB, RESOLVED: GOOD}, RESOLVED),
        ({OWN: GOOD, RESOLVED: GOOD}, RESOLVED),
        # A dnsmasq of NetworkManager's.
        ({OWN: "nameserver 127.0.1.1\n", MANAGED: GOOD}, MANAGED),
        ({OWN: GOOD, MANAGED: GOOD}, OWN),
        # Out of reach of any network at the time.
        ({OWN: "# Generated by NetworkManager\n", MANAGED: GOOD}, OWN),
        ({OWN: STUB, RESOLVED: ""}, RESOLVED),
        # A resolver on this machine alone, in each way to write its address.
        ({OWN: "nameserver 127.0.0.1\nnameserver ::1\n"}, ""),
        ({OWN: "nameserver ::ffff:127.0.0.1\nnameserver 0.0.0.0\nnameserver ::\n"}, ""),
        ({OWN: "nameserver fe80::1%wlan0\n# nameserver 192.0.2.53\n"}, ""),
        ({OWN: "nameserver localhost\nnameserver\n"}, ""),
        ({}, ""),
    ],
)
def test_nodes_follow_the_file_whose_name_servers_they_can_ask(
    tmp_path: Path, machine: dict[str, str], followed: str
) -> None:
    for place, text in machine.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    found = containers.resolv_conf(root=tmp_path)
    assert found == (tmp_path / followed if followed else None)


def test_nodes_follow_the_file_that_a_link_leads_to(tmp_path: Path) -> None:
    """Programs put another file in the place of that one, not of the link."""
    (tmp_path / "run/resolvconf").mkdir(parents=True)
    (tmp_path / "run/resolvconf/resolv.conf").write_text(GOOD)
    (tmp_path / "etc").mkdir()
    (tmp_path / OWN).symlink_to("../run/resolvconf/resolv.conf")
    assert containers.resolv_conf(root=tmp_path) == tmp_path / "run/resolvconf/resolv.conf"


def test_nodes_follow_the_file_that_a_user_names(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    assert containers.resolv_conf(str(tmp_path / "mine")) == tmp_path / "mine"
    with pytest.raises(SlipwayError, match=r"node_containers_resolv_conf: .*/none is not there"):
        containers.resolv_conf(str(tmp_path / "none"))


def test_name_servers_are_those_that_other_machines_can_ask() -> None:
    text = "# nameserver 9.9.9.9\n" + GOOD + "nameserver dns.example\nnameserver\noptions edns0\n"
    assert containers.nameservers(text) == ["192.0.2.53"]


def test_the_network_is_made_with_the_cluster_s_subnet_and_label() -> None:
    engine = FakeEngine()
    del engine.subnets["lab"]
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
    del engine.subnets["lab"]
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
    engine = FakeEngine()
    resolv_conf = Path("/run/systemd/resolve/resolv.conf")
    ensure(engine, "a", ports={30080: 80, 30443: 443}, resolv_conf=resolv_conf)
    asked = engine.made["a"]
    assert asked["image"] == "slipway-node:1"
    assert asked["hostname"] == "a"
    assert asked["tty"]
    assert asked["labels"] == {CLUSTER_LABEL: "lab"}
    assert asked["environment"] == {"SLIPWAY_RESOLV_CONF": "/run/host/name-servers/resolv.conf"}
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
    [servers] = [each for each in host["Mounts"] if each["Target"] == "/run/host/name-servers"]
    assert (servers["Type"], servers["Source"]) == ("bind", "/run/systemd/resolve")
    assert servers["ReadOnly"]
    assert host["PortBindings"] == {
        "30080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}],
        "30443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "443"}],
    }
    assert asked["ports"] == [30080, 30443]


def test_a_node_without_servers_that_it_can_ask_is_left_to_the_engine_s_own() -> None:
    engine = FakeEngine()
    ensure(engine, "a")
    asked = engine.made["a"]
    assert asked["environment"] == {}
    assert not any(each["Target"].startswith("/run") for each in asked["host_config"]["Mounts"])


def test_a_node_that_was_made_with_other_ports_is_told_before_anything_is_done() -> None:
    a, b = FakeContainer("a", "exited"), FakeContainer("b", "exited")
    a.bindings = {"30080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    engine = FakeEngine(a, b)
    with pytest.raises(SlipwayError) as caught:
        ensure(engine, "a", "b", "new", ports={30080: 80})
    assert [str(each).partition("\n")[0] for each in caught.value.problems] == [
        "container a: was made with the published ports [8080], not [80]",
        "container b: was made with the published ports none, not [80]",
    ]
    assert (a.status, engine.made) == ("exited", {})
    with pytest.raises(SlipwayError, match=r"a: was made with .* \[8080\], not none"):
        ensure(engine, "a")


def test_a_node_that_was_made_with_the_ports_is_taken() -> None:
    a = FakeContainer("a")
    a.bindings = {"30080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    assert ensure(FakeEngine(a), "a", ports={30080: 8080}) == ([], [])


@pytest.mark.parametrize(
    "networks",
    [
        {},
        {"lab": {"NetworkID": NETWORK_ID, "IPAMConfig": None}},
        {"lab": {"NetworkID": NETWORK_ID, "IPAMConfig": {}}},
        # Of a network that was removed and made anew by the same name.
        {"lab": {"NetworkID": "before", "IPAMConfig": {"IPv4Address": "172.29.0.2"}}},
    ],
    ids=["none", "connected by hand", "with nothing said", "a network before"],
)
@pytest.mark.parametrize("status", ["running", "exited"])
def test_a_node_that_lost_its_network_or_address_is_put_back(
    networks: dict[str, Any], status: str
) -> None:
    a, b = FakeContainer("a", status), FakeContainer("b")
    a.networks = dict(networks)
    engine = FakeEngine(a, b)
    assert ensure(engine, "a", "b") == (["a"], ["starting a"])
    assert (a.status, a.networks) == ("running", {"lab": endpoint("a")})
    assert ensure(engine, "a", "b") == ([], [])


@pytest.mark.parametrize(
    ("ahead", "touched"), [(timedelta(hours=2), ["a"]), (timedelta(seconds=20), [])]
)
def test_a_node_that_was_started_while_the_clock_was_ahead_is_started_anew(
    ahead: timedelta, touched: list[str]
) -> None:
    a, b = FakeContainer("a"), FakeContainer("b")
    a.started = (datetime.now(UTC) + ahead).isoformat()
    engine = FakeEngine(a, b)
    assert ensure(engine, "a", "b")[0] == touched
    assert (a.status, a.networks) == ("running", {"lab": endpoint("a")})
    assert ensure(engine, "a", "b")[0] == []


def test_a_node_that_was_never_started_is_started() -> None:
    a = FakeContainer("a", "created")
    a.started = "0001-01-01T00:00:00Z"
    assert ensure(FakeEngine(a), "a")[0] == ["a"]


def test_a_node_that_was_made_with_another_address_is_left_to_be_refused_by_what_is_on_it() -> None:
    a = FakeContainer("a")
    a.networks = {"lab": endpoint("a", address="172.29.0.77")}
    assert ensure(FakeEngine(a), "a") == ([], [])


def test_a_node_that_the_engine_does_not_start_is_told_with_its_words() -> None:
    a = FakeContainer("a", "exited")
    a.refusal = "listen tcp4 127.0.0.1:80: bind: address already in use"
    with pytest.raises(SlipwayError, match=r"container a: listen tcp4 127\.0\.0\.1:80") as caught:
        ensure(FakeEngine(a), "a")
    assert "slipway_published_ports" in caught.value.problems[0].fix


def test_published_are_the_ports_of_the_cluster_s_nodes_that_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b, other = FakeContainer("a"), FakeContainer("b", "exited"), FakeContainer("c", cluster="c")
    for number, each in enumerate((a, b, other)):
        each.bindings = {"30080/tcp": [{"HostIp": "127.0.0.1", "HostPort": f"808{number}"}]}
    monkeypatch.setattr(containers, "connect", FakeEngine(a, b, other).as_client)
    assert containers.published("lab") == {8080}


def test_without_an_engine_nothing_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    assert containers.published("lab") == set()


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

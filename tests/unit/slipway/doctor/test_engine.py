"""Engines that can have nodes, and that cannot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.models.networks import Network

from slipway.doctor import engine
from slipway.doctor.engine import Engine
from slipway.doctor.findings import all_of
from slipway.doctor.machine import Cluster
from slipway.nodes.containers import CLUSTER_LABEL
from tests.support.machines import MACHINES, cluster

INFO: dict[str, Any] = {
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]],
    "CgroupDriver": "systemd",
    "SecurityOptions": ["name=seccomp,profile=default", "name=cgroupns"],
    "OperatingSystem": "Debian GNU/Linux 13 (trixie)",
    "DockerRootDir": "/var/lib/docker",
}


def net(name: str, *subnets: str, members: dict[str, str] | None = None) -> Network:
    """A network, with the addresses of its members by their names."""
    inside = {
        name: {"Name": name, "IPv4Address": address, "IPv6Address": ""}
        for name, address in (members or {}).items()
    }
    config = [{"Subnet": each} for each in subnets]
    attributes = {"IPAM": {"Config": config or None}, "Containers": inside}
    return cast(Network, SimpleNamespace(name=name, attrs=attributes))


def an_engine(
    *networks: Network,
    version: str = "26.1.5",
    product: str = "Engine",
    containers: dict[str, dict[str, Any]] | None = None,
    **info: Any,
) -> Engine:
    """An engine that will do but for what is said."""
    return Engine(
        {"Version": version, "Components": [{"Name": product}]},
        INFO | info,
        {str(each.name): each for each in (net("bridge", "172.17.0.0/16"), net("host"), *networks)},
        containers or {},
    )


def troubles(found: Engine, which: Cluster | None = None) -> dict[str, tuple[str, str]]:
    """The state and what was found, by check, of those that are not as they should be."""
    findings = all_of("localhost", engine.checks(found, which or cluster()))
    return {each.check: (str(each.state), each.found) for each in findings if each.state != "ok"}


def test_a_sound_engine_has_nothing_against_it() -> None:
    findings = all_of("localhost", engine.checks(an_engine(), cluster()))
    assert [each.check for each in findings] == [
        "engine version",
        "engine storage",
        "engine rights",
        "engine names",
        "engine networks",
        "engine addresses",
    ]
    assert {str(each.state) for each in findings} == {"ok"}


def test_of_an_engine_without_nodes_only_the_version_matters() -> None:
    which = cluster(inventory=MACHINES)
    assert [*engine.checks(an_engine(), which)] == ["engine version"]


@pytest.mark.parametrize(
    ("changes", "check", "state", "words"),
    [
        ({"version": "19.03.15"}, "version", "fail", "it takes 20.10"),
        ({"version": "30.0.1"}, "version", "warn", "newer"),
        ({"version": "4.3.1", "product": "Podman Engine"}, "version", "fail", "Podman Engine"),
        ({"Driver": "vfs"}, "storage", "warn", "vfs"),
        (
            {"DriverStatus": [["Backing Filesystem", "xfs"], ["Supports d_type", "false"]]},
            "storage",
            "fail",
            "overlay2 on xfs without d_type",
        ),
        ({"SecurityOptions": ["name=rootless"]}, "rights", "fail", "name=rootless"),
        ({"SecurityOptions": ["name=userns"]}, "rights", "fail", "name=userns"),
        ({"OperatingSystem": "Docker Desktop"}, "rights", "fail", "virtual machine"),
        ({"CgroupDriver": "none"}, "rights", "fail", "'none'"),
    ],
)
def test_an_engine_has_to_be_one_that_nodes_run_on(
    changes: dict[str, Any], check: str, state: str, words: str
) -> None:
    found = troubles(an_engine(**changes))
    assert [*found] == [f"engine {check}"]
    assert found[f"engine {check}"][0] == state
    assert words in found[f"engine {check}"][1]


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "29.1.0"])
@pytest.mark.parametrize("options", [None, []])
def test_engines_of_all_known_versions_will_do(version: str, options: list[str] | None) -> None:
    assert troubles(an_engine(version=version, SecurityOptions=options, DriverStatus=None)) == {}


def test_a_container_of_others_with_a_node_s_name_is_found() -> None:
    labels = {"Labels": {CLUSTER_LABEL: "slipway"}}
    found = troubles(an_engine(containers={"control": labels, "worker": {"Labels": None}}))
    assert found == {"engine names": ("fail", "is not of slipway")}


@pytest.mark.parametrize(
    ("there", "expected"),
    [((), "none"), (("control", "db"), "control"), (("control", "worker"), "control, worker")],
)
def test_the_nodes_that_are_there_are_told(there: tuple[str, ...], expected: str) -> None:
    labels = {"Labels": {CLUSTER_LABEL: "slipway"}}
    found = an_engine(containers=dict.fromkeys(there, labels))
    (result,) = engine.names(found, cluster())
    assert result.found == f"nodes that are there: {expected}"


@pytest.mark.parametrize(
    ("host", "elsewhere"),
    [
        ("", False),
        ("unix:///run/user/1000/docker.sock", False),
        ("tcp://192.0.2.5:2375", True),
        ("ssh://build@192.0.2.5", True),
    ],
)
def test_an_engine_is_one_of_this_machine_by_what_it_is_reached_by(
    host: str, elsewhere: bool
) -> None:
    assert bool(engine.remote(host)) is elsewhere


class Client:
    """A client of an engine with two networks and a container."""

    def __init__(self) -> None:
        self.networks = self.api = self
        self.reloaded: list[str] = []

    def list(self) -> list[Any]:
        """The networks, of which a list does not say who is in them."""
        return [
            SimpleNamespace(name=name, reload=lambda name=name: self.reloaded.append(name))
            for name in ("bridge", "slipway")
        ]

    def containers(self, *, all: bool) -> Any:
        """The containers, those that do not run as well."""
        return [{"Names": ["/control", "/other/alias"]}] if all else []

    def version(self) -> dict[str, str]:
        """What it is."""
        return {"Version": "26.1.5"}

    def info(self) -> dict[str, str]:
        """What it says of itself."""
        return INFO


def test_an_engine_is_asked_who_is_in_the_cluster_s_network_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client()
    monkeypatch.setattr("slipway.nodes.containers.connect", lambda _seconds: client)
    found = engine.read("slipway")
    assert client.reloaded == ["slipway"]
    assert [*found.networks] == ["bridge", "slipway"]
    assert found.has(["control"])
    assert found.root == "/var/lib/docker"
    engine.read("other")
    assert client.reloaded == ["slipway"]


def test_the_nodes_are_there_when_all_of_them_are() -> None:
    found = an_engine(containers={"control": {}, "other": {}})
    assert found.has(["control"])
    assert not found.has(["control", "worker"])


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (net("other", "172.29.128.0/20"), "overlaps with 172.29.128.0/20, the network other"),
        (net("other", "fd00::/64", "172.16.0.0/12"), "overlaps with 172.16.0.0/12"),
        (net("slipway", "172.28.0.0/16"), "has ['172.28.0.0/16'], not 172.29.0.0/16"),
        (net("slipway"), "has [], not 172.29.0.0/16"),
    ],
)
def test_the_range_of_the_nodes_has_to_be_free_or_theirs(there: Network, words: str) -> None:
    found = troubles(an_engine(there))
    assert found["engine networks"][0] == "fail"
    assert words in found["engine networks"][1]


def test_the_network_of_the_nodes_and_networks_of_others_are_no_trouble() -> None:
    there = (net("slipway", "172.29.0.0/16"), net("other", "172.28.0.0/16"), net("none"))
    assert troubles(an_engine(*there)) == {}


def test_an_overlap_is_told_with_how_to_mend_it() -> None:
    found = all_of("a", engine.checks(an_engine(net("other", "172.29.0.0/24")), cluster()))
    (fix,) = (each.fix for each in found if each.state == "fail")
    assert fix == (
        "docker network rm other, or set node_containers_subnet to a free range, "
        "such as 172.31.0.0/16"
    )


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("172.29.0.3/16", "the container db has 172.29.0.3, that of worker"),
        ("172.29.255.201/16", "the container db has 172.29.255.201, one of metallb_pool"),
    ],
)
def test_a_container_of_others_with_an_address_that_is_needed_is_found(
    address: str, words: str
) -> None:
    members = {"control": "172.29.0.2/16", "db": address}
    found = troubles(an_engine(net("slipway", "172.29.0.0/16", members=members)))
    assert found == {"engine addresses": ("fail", words)}


def test_a_container_of_others_with_any_other_address_may_stay() -> None:
    members = {"control": "172.29.0.2/16", "db": "172.29.0.9/16"}
    assert troubles(an_engine(net("slipway", "172.29.0.0/16", members=members))) == {}

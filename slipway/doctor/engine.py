"""The container engine: whether it can have nodes, and whether what they need of it is free."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from docker.models.networks import Network

from slipway.doctor.findings import Check, Result, State, fail, ok, unless, warn
from slipway.doctor.machine import Cluster, numbers
from slipway.doctor.network import free_range, overlap
from slipway.nodes import containers
from slipway.preflight import address_of, in_pool, network_of
from slipway.waiting import allowed

ROOT = "/var/lib/docker"
"""Where an engine keeps its images unless it says otherwise."""

OLDEST, NEWEST = (20, 10), (29,)
"""The versions that container nodes are known to run on."""

STORAGE = ("overlay2", "overlayfs")
CONFINED = ("name=rootless", "name=userns")
DESKTOP = "Docker Desktop"

SECONDS = 10
"""How long the engine may take for an answer."""


@dataclass(frozen=True)
class Engine:
    """What the engine says of itself, and of what it has."""

    version: Mapping[str, Any]
    info: Mapping[str, Any]
    networks: Mapping[str, Network]
    containers: Mapping[str, Mapping[str, Any]]
    """By name, as the API lists them."""

    @property
    def root(self) -> str:
        """Where it keeps images and volumes."""
        return str(self.info["DockerRootDir"])

    def has(self, nodes: Iterable[str]) -> bool:
        """Whether all nodes are there."""
        return all(node in self.containers for node in nodes)


def remote(host: str) -> list[Result]:
    """What is wrong with the engine that ``DOCKER_HOST`` names, if it is one elsewhere."""
    if not host or host.startswith("unix://"):
        return []
    return [fail(f"DOCKER_HOST is {host}: nodes would be on another machine", "unset DOCKER_HOST")]


def read(cluster: str) -> Engine:
    """Ask the engine; raises SlipwayError if it does not answer, or not this user."""
    client = containers.connect(int(allowed(SECONDS)))
    networks = {network.name: network for network in client.networks.list()}
    if cluster in networks:
        networks[cluster].reload()  # which says who is in it
    listed = client.api.containers(all=True)
    return Engine(
        client.version(),
        client.info(),
        networks,
        {name.lstrip("/"): each for each in listed for name in each["Names"]},
    )


def checks(engine: Engine, cluster: Cluster) -> dict[str, Check]:
    """The checks of an engine that answers; of what only container nodes need if there are any."""
    of_nodes = (storage, rights, names, networks, addresses) if cluster.inventory.segment else ()
    found: dict[str, Check] = {}
    for check in (version, *of_nodes):
        found[f"engine {check.__name__}"] = partial(check, engine, cluster)
    return found


def version(engine: Engine, cluster: Cluster) -> Iterable[Result]:
    """Whether it is Docker's, and of a version that is known."""
    product = engine.version.get("Components", [{}])[0].get("Name", "Engine")
    text = str(engine.version["Version"])
    if "podman" in product.lower():
        return [fail(f"{product} {text} in Docker's place", "install Docker (docker.io)")]
    if numbers(text)[:2] < OLDEST:
        return [fail(f"{text}; it takes 20.10", "install a newer one (docker.io of Debian 12)")]
    if numbers(text)[:1] > NEWEST:
        return [warn(f"{text}, newer than those that were tried", "20.10 to 29 are known to do")]
    return [ok(text)]


def storage(engine: Engine, cluster: Cluster) -> Iterable[Result]:
    """Whether containers' layers lie over one another, and containerd's over those."""
    driver = str(engine.info["Driver"])
    status = {str(key): str(value) for key, value in engine.info.get("DriverStatus") or ()}
    overlay = 'put {"storage-driver": "overlay2"} into /etc/docker/daemon.json, restart Docker'
    troubles = []
    if status.get("Supports d_type", "true") != "true":
        what = f"{driver} on {status.get('Backing Filesystem')} without d_type, which images need"
        troubles.append(fail(what, f"mkfs.xfs -n ftype=1 for what is mounted at {engine.root}"))
    if driver not in STORAGE:
        what = f"{driver}, with which every container is a copy or has not been tried"
        troubles.append(warn(what, overlay))
    return unless(driver, troubles)


def rights(engine: Engine, cluster: Cluster) -> Iterable[Result]:
    """Whether a container may have what a machine has: its kernel's settings and control groups."""
    driver = str(engine.info["CgroupDriver"])
    confined = [each for each in engine.info.get("SecurityOptions") or () if each in CONFINED]
    troubles = []
    if engine.info.get("OperatingSystem") == DESKTOP:
        what = f"{DESKTOP}, whose containers are in a virtual machine and not reached from here"
        troubles.append(fail(what, "install Docker's engine (docker.io), and unset DOCKER_HOST"))
    if confined:
        what = f"{', '.join(confined)}: containers may not set up the kernel as a node has to"
        fix = "run Docker's engine as root, without rootless mode and userns-remap"
        troubles.append(fail(what, fix))
    if driver not in ("cgroupfs", "systemd"):
        what = f"control groups by '{driver}': containers have none of their own"
        troubles.append(fail(what, "let systemd delegate them, or run the engine as root"))
    return unless(f"control groups by {driver}", troubles)


def names(engine: Engine, cluster: Cluster) -> Iterable[Result]:
    """Whether nobody else has a container with a node's name."""
    nodes = [containers.Node(*each) for each in cluster.inventory.nodes.items()]
    labels = {name: each.get("Labels") or {} for name, each in engine.containers.items()}
    found = containers.strangers(labels, cluster.name, nodes)
    there = [node.name for node in nodes if node.name in engine.containers]
    said = f"nodes that are there: {', '.join(there) or 'none'}"
    return unless(said, (Result(State.FAIL, each.what, each.fix, each.where) for each in found))


def networks(engine: Engine, cluster: Cluster) -> Iterable[Result]:
    """Whether the nodes' network is there as it has to be, or its range is free."""
    subnet = cluster.inventory.segment
    own = network_of(subnet)
    if own is None:
        return []
    if network := engine.networks.get(cluster.name):
        problem = containers.other_subnet(network, subnet)
        if problem:
            return [Result(State.FAIL, problem.what, problem.fix, problem.where)]
        return [ok(f"{cluster.name} has {subnet}")]
    found = {
        other: name
        for name, network in engine.networks.items()
        for text in containers.subnets(network)
        if (other := network_of(text))
    }
    free = free_range(own, [*found, own])
    fix = f"docker network rm NAME, or set node_containers_subnet to a free range, such as {free}"
    return unless(
        f"{subnet} is free",
        (
            fail(f"{subnet} overlaps with {other}, the network {name}", fix.replace("NAME", name))
            for other, name in found.items()
            if overlap(own, other)
        ),
    )


def addresses(engine: Engine, cluster: Cluster) -> Iterable[Result]:
    """Whether no container of others has a node's address, or one of the pool."""
    network = engine.networks.get(cluster.name)
    members = (network.attrs.get("Containers") or {}).values() if network else ()
    nodes = cluster.inventory.nodes
    wanted = {address_of(text): f"that of {name}" for name, text in nodes.items()}
    troubles = []
    for each in members:
        address = ipaddress.ip_interface(each["IPv4Address"] or each["IPv6Address"]).ip
        whose = wanted.get(address) or (
            "one of metallb_pool" if in_pool(cluster.inventory.pool, address) else ""
        )
        if whose and each["Name"] not in nodes:
            what = f"the container {each['Name']} has {address}, {whose}"
            troubles.append(fail(what, f"docker network disconnect {cluster.name} {each['Name']}"))
    return unless("free", troubles)

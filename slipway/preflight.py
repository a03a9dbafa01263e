"""What can be known to be wrong before anything is changed."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from slipway.apps.plan.bounds import NO_BOUNDS, Bounds
from slipway.apps.plan.plan import plan
from slipway.apps.plan.routes import DOMAIN
from slipway.control_node.localhost import USUAL_PORTS
from slipway.errors import Problem, SlipwayError
from slipway.kube.client import Kube
from slipway.kube.nodes import mismatches
from slipway.nodes.registries import registries
from slipway.people import people

ANSWER_SECONDS = 2.0
"""How long this machine may take to accept a connection to itself."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Inventory:
    """What the inventory says of the cluster's addresses.

    ``nodes`` are node names with their addresses. ``segment`` is the network of container nodes,
    empty for machines, whose network is not Slipway's to know. The subnets are those of pods and
    services; ``pool`` has the ranges for services of type LoadBalancer. ``api`` is where all
    control planes are reached together, with a port or without, empty for one of them; if there
    are ``load_balancers``, these hold it.
    """

    nodes: Mapping[str, str]
    control_plane: Sequence[str]
    pool: Sequence[str]
    pod_subnet: str
    service_subnet: str
    segment: str = ""
    api: str = ""
    load_balancers: Sequence[str] = ()


def addresses(inventory: Inventory) -> list[Problem]:
    """Everything that is wrong with the inventory's addresses."""
    return [*_nodes(inventory), *_api(inventory), *_pool(inventory), *_overlaps(inventory)]


def groups(
    nodes: Collection[str], control_plane: Sequence[str], workers: Sequence[str]
) -> list[Problem]:
    """Everything that is wrong with what the inventory makes of its hosts."""
    both = sorted({*control_plane} & {*workers})
    members = dict.fromkeys([*control_plane, *workers])
    found = [
        Problem(
            f"inventory {name}",
            "is in the groups control_plane and workers",
            "take it out of one of them",
        )
        for name in both
    ]
    found += [
        Problem(
            f"inventory {name}",
            "is in the group nodes, but neither in control_plane nor in workers",
            "put it into one of these two groups",
        )
        for name in nodes
        if name not in members
    ]
    found += [
        Problem(
            f"inventory {name}",
            "is to be a node, but is not in the group nodes",
            "make control_plane and workers children of the group nodes",
        )
        for name in members
        if name not in nodes
    ]
    if control_plane and len(control_plane) % 2 == 0:
        what = (
            f"has {len(control_plane)} hosts ({', '.join(control_plane)}), which go on without no "
            f"more of them than {len(control_plane) - 1} do: etcd needs more than half"
        )
        fix = "put one more host there, or one of them into workers: three, or five"
        found.append(Problem("inventory control_plane", what, fix))
    return found


def ports(cluster: str, wanted: Mapping[str, Any], segment: str) -> list[Problem]:
    """Everything that is wrong with the ports of this machine, by protocol, for the ``cluster``.

    They are for container nodes, which are in a ``segment``, and nothing else listens there. A
    browser that is given a name below localhost may ask either of this machine's addresses.
    """
    where, found = "inventory slipway_published_ports", []
    if wanted and not segment:
        fix = "leave it out, and services are reached at an address of metallb_pool"
        return [Problem(where, "is for nodes that are containers", fix)]
    numbers = [*wanted.values()]
    is_sound = all(isinstance(number, int) and 0 < number < 1 << 16 for number in numbers)
    if wanted and (wanted.keys() != USUAL_PORTS.keys() or not is_sound or len({*numbers}) < 2):
        what = f"is {dict(wanted)}, and not two ports"
        return [Problem(where, what, "write {http: 80, https: 443}, or {} for none")]
    for port in numbers:
        taken = [address for address in ("127.0.0.1", "::1") if _is_answered(address, port)]
        if taken and not (taken == ["127.0.0.1"] and port in _published(cluster)):
            what = f"port {port} of {' and '.join(taken)} is in use on this machine"
            fix = (
                f"stop what listens there (ss -ltnp 'sport = :{port}'); or set others in the "
                "inventory, as {http: 8080, https: 8443}; or none, {}, and services have names "
                "below slipway.test at an address of metallb_pool"
            )
            found.append(Problem(where, what, fix))
    return found


def _published(cluster: str) -> set[int]:
    """This machine's ports that lead to nodes of the cluster."""
    # The client of the engine takes as long to load as all else here.
    from slipway.nodes.containers import published

    return published(cluster)


def _is_answered(address: str, port: int) -> bool:
    """Whether something listens at a port of this machine."""
    try:
        socket.create_connection((address, port), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def running_cluster(kubeconfig: Path, inventory: Inventory, version: str) -> list[Problem]:
    """Why the cluster that a kubeconfig opens must not be worked on.

    Nothing when none answers: that is looked into on the nodes.
    """
    try:
        with Kube(kubeconfig) as kube:
            return mismatches(kube, version, inventory.nodes, inventory.control_plane)
    except SlipwayError:
        return []


def apps_file(
    path: Path,
    secrets: Mapping[str, str] | None = None,
    domain: str = DOMAIN,
    bounds: Bounds = NO_BOUNDS,
) -> list[Problem]:
    """Everything that is wrong with apps.yml by itself, and with the ``secrets`` that it names."""
    try:
        plan(path, domain=domain, secrets=secrets, bounds=bounds)
    except SlipwayError as error:
        return list(error.problems)
    return []


def nodes_registries(given: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Problem]:
    """Everything that is wrong with the registries that nodes are to ask."""
    try:
        registries(given, secrets)
    except SlipwayError as error:
        return list(error.problems)
    return []


def people_of(given: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with the people who may use the cluster."""
    try:
        people(given)
    except SlipwayError as error:
        return list(error.problems)
    return []


def pool_range(text: str) -> tuple[Address, Address]:
    """The first and the last address of ``first-last`` or of a network.

    Raises ValueError with the reason when ``text`` is neither.
    """
    first, dash, last = text.partition("-")
    if not dash:
        network = ipaddress.ip_network(text)
        return network[0], network[-1]
    ends = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
    if ends[0].version != ends[1].version or int(ends[0]) > int(ends[1]):
        raise ValueError(f"'{text}' does not go from a lower to a higher address")
    return ends


def pool_ends(pool: Iterable[str]) -> list[str]:
    """The first and the last address of every range; nothing of those that are wrong."""
    found = []
    for text in pool:
        with suppress(ValueError):
            found += [str(end) for end in pool_range(text)]
    return found


def _nodes(inventory: Inventory) -> Iterator[Problem]:
    if not inventory.control_plane:
        fix = "put one host into the group control_plane"
        yield Problem("inventory", "there is no node for the control plane", fix)
    owners: dict[Address, str] = {}
    segment = network_of(inventory.segment)
    for name, text in inventory.nodes.items():
        where = f"inventory {name}.node_address"
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            fix = "give node_address the machine's address if ansible_host is a name"
            yield Problem(where, f"'{text}' is not an address", fix)
            continue
        if address in owners:
            what = f"{text} is {owners[address]}'s address"
            yield Problem(where, what, "give each node its own")
        if segment and address not in segment:
            fix = "choose an address in it, or another node_containers_subnet"
            yield Problem(where, f"{text} is not in the nodes' network {segment}", fix)
        owners[address] = name


def _api(inventory: Inventory) -> Iterator[Problem]:
    where, several = "inventory slipway_api_address", len(inventory.control_plane) > 1
    if several and not inventory.api and not inventory.load_balancers:
        what = f"is empty, and {len(inventory.control_plane)} control planes need one in common"
        fix = "name an address of the nodes' network that nobody has, or a load balancer of yours"
        yield Problem(where, what, fix)
    address, segment = address_of(inventory.api.partition(":")[0]), network_of(inventory.segment)
    if inventory.load_balancers and not isinstance(
        address_of(inventory.api), ipaddress.IPv4Address
    ):
        what = f"is '{inventory.api}', and load_balancers hold an IPv4 address without a port"
        fix = (
            "name one of the nodes' network that nobody has; or leave load_balancers without hosts"
        )
        yield Problem(where, what, fix)
    if address is None:
        return  # a name
    if inventory.load_balancers and segment and address not in segment:
        fix = "choose an address in it that nobody has"
        yield Problem(where, f"{address} is not in the nodes' network {segment}", fix)
    owners = [name for name, text in inventory.nodes.items() if address_of(text) == address]
    if owners and (several or inventory.load_balancers):
        what = f"{address} is {owners[0]}'s address, and would go with it"
        yield Problem(where, what, "name one that is no node's own")
    if in_pool(inventory.pool, address):
        what = f"{address} is in metallb_pool, which gives it to a service"
        yield Problem(where, what, "name one that is not in metallb_pool")


def _pool(inventory: Inventory) -> Iterator[Problem]:
    where = "inventory metallb_pool"
    if not inventory.pool:
        fix = "name a range of the nodes' network segment, such as [192.0.2.200-192.0.2.220]"
        yield Problem(where, "has no address", fix)
    segment = network_of(inventory.segment)
    for text in inventory.pool:
        try:
            first, last = pool_range(text)
        except ValueError as error:
            yield Problem(where, str(error), "write first-last or a network, as 192.0.2.192/27")
            continue
        if segment and not (first in segment and last in segment):
            fix = "choose a range of it that no node uses"
            yield Problem(where, f"{text} is not in the nodes' network {segment}", fix)
        for name, address in inventory.nodes.items():
            if _between(first, address_of(address), last):
                fix = "choose a range that no node uses"
                yield Problem(where, f"{text} has the address {address} of {name} in it", fix)


def _overlaps(inventory: Inventory) -> Iterator[Problem]:
    named = {
        "slipway_pod_subnet": inventory.pod_subnet,
        "slipway_service_subnet": inventory.service_subnet,
        "node_containers_subnet": inventory.segment,
    }
    networks: dict[str, Network] = {}
    for name, text in named.items():
        try:
            if text:
                networks[name] = ipaddress.ip_network(text)
        except ValueError as error:
            yield Problem(f"inventory {name}", str(error), "write a network, as 10.244.0.0/16")
    for (one, first), (other, second) in combinations(networks.items(), 2):
        if first.overlaps(second):
            what = f"{first} overlaps with {other} {second}"
            yield Problem(f"inventory {one}", what, "give each a range of its own")


def network_of(text: str) -> Network | None:
    """A network; None for what is none, which :func:`addresses` says once."""
    try:
        return ipaddress.ip_network(text) if text else None
    except ValueError:
        return None


def address_of(text: str) -> Address | None:
    """An address; None for what is none, which :func:`addresses` says once."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def in_pool(pool: Iterable[str], address: Address | None) -> bool:
    """Whether an address is in one of the ranges; what is no range has none."""
    for text in pool:
        try:
            first, last = pool_range(text)
        except ValueError:
            continue
        if _between(first, address, last):
            return True
    return False


def _between(first: Address, address: Address | None, last: Address) -> bool:
    if address is None or address.version != first.version:
        return False
    return int(first) <= int(address) <= int(last)

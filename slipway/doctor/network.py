"""The networks of a machine: whether packets get through, and whether addresses are free."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

from slipway.doctor.findings import Result, Unknown, fail, ok, unless, warn
from slipway.doctor.machine import (
    Address,
    Cluster,
    Firewalld,
    Forwarding,
    Machine,
    Route,
    Taken,
    Ufw,
    Use,
)
from slipway.nodes import firewalls
from slipway.preflight import Inventory, Network, address_of, network_of, pool_ends

OWN_DEVICES = ("cni0",)
OWN_PROTOCOL = "217"
"""What pods are reached by on a node; the role pod_network says so."""

OF_FIREWALLS = (" firewalld ", "ufw-before-")
"""What chains of firewalld and ufw have in their names or rules."""

ENGINE_DEVICES = ("br-", "docker")
"""What the bridges of Docker's networks are called, which the engine is asked about itself."""

FREE = {4: ("172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"), 6: ("fd00::/8",)}
"""Where a range is looked for that nobody uses."""

WHOLE = 8
"""Shorter prefixes are halves of everything, by which VPNs take the place of the default route."""

POOL = "metallb_pool"


def forwarding(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether the machine hands packets of pods on, now and after the next boot."""
    if not machine.has_pods:
        return []
    has = machine.known("forwarding", Forwarding)
    troubles = []
    if machine.is_node and has.ended_by:
        files = " ".join(has.ended_by)
        what = f"net.ipv4.ip_forward = 0 in {files}, which holds after Slipway's own file"
        troubles.append(machine.hinders(what, f"on it: sudo sed -i '/ip_forward/d' {files}"))
    if machine.use is Use.HOST and cluster.made and not has.on:
        what = "off: nodes and pods reach nothing beyond this machine"
        troubles.append(warn(what, "as root: sysctl net.ipv4.ip_forward=1"))
    return unless("on" if has.on else "off; a run turns it on", troubles)


def firewalld(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether firewalld, where it runs, lets through what a node needs."""
    if not machine.is_node or not (has := machine.known("firewalld", Firewalld)).zones:
        return []
    traffic, device = _traffic(machine, cluster)
    return _through(machine, firewalls.firewalld(traffic, device, has.default, has.zones))


def ufw(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether ufw, where it is active, lets through what a node needs."""
    if not machine.is_node or not (has := machine.known("ufw", Ufw)).is_active:
        return []
    traffic, device = _traffic(machine, cluster)
    return _through(machine, firewalls.ufw(traffic, device, has.status, has.added))


def _traffic(machine: Machine, cluster: Cluster) -> tuple[firewalls.Traffic, str]:
    """What has to get through to a node, and the device by which it comes."""
    inventory, own = cluster.inventory, _own(machine, cluster)
    traffic = firewalls.Traffic(_ports(machine), inventory.pod_subnet, inventory.service_subnet)
    return traffic, own.device if own else ""


def _ports(machine: Machine) -> tuple[str, ...]:
    own = firewalls.CONTROL_PLANE if machine.has_control_plane else ()
    return (*own, *firewalls.EVERY_NODE)


def _through(machine: Machine, commands: Sequence[str]) -> list[Result]:
    if not commands:
        return [ok("lets through what nodes need")]
    lines = "".join(f"\n        {each}" for each in commands)
    return [machine.hinders("keeps from it what nodes need", f"as root there:{lines}")]


def firewall(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether packet filters of any other kind let the nodes' and the pods' packets through."""
    if not machine.has_pods:
        return []
    try:
        filters = machine.known("filters", dict[str, list[str]])
    except Unknown as unknown:
        if machine.system.user == 0:
            raise
        return [ok(str(unknown))]
    if machine.use is Use.HOST:
        troubles = [*_of_user(filters["user"], cluster.inventory)]
    else:
        troubles = [*_of_node(machine, filters, cluster.inventory.pod_subnet)]
    return unless("lets packets of pods through", troubles)


def _of_user(rules: Sequence[str], inventory: Inventory) -> Iterator[Result]:
    """What the owner of an engine has put before its rules, but for what comes from elsewhere."""
    let = " && ".join(
        f"iptables -I DOCKER-USER -s {each} -d {each} -j RETURN"
        for each in (inventory.segment, inventory.pod_subnet)
    )
    for words in (rule.split() for rule in rules):
        device = words[words.index("-i") + 1] if "-i" in words else ""
        if {"DROP", "REJECT"} & {*words} and (not device or device.startswith(ENGINE_DEVICES)):
            what = f"a rule that may stop packets between nodes: {' '.join(words)}"
            yield warn(what, f"as root: {let}")


def _of_node(machine: Machine, filters: dict[str, list[str]], pods: str) -> Iterator[Result]:
    for chain in filters["forward"]:
        if pods not in chain and not _is_told_apart(chain):
            name = chain.splitlines()[0]
            what = f"{name} drops what is forwarded, and so what pods send to those of other nodes"
            yield machine.hinders(what, f"let through what comes from {pods} and what goes there")
    for chain in filters["input"]:
        if not _is_told_apart(chain):
            what = f"{chain.splitlines()[0]} drops what no rule lets in"
            fix = f"let in what comes from {pods}, and all to ports {', '.join(_ports(machine))}"
            yield warn(what, fix)


def _is_told_apart(chain: str) -> bool:
    """Whether a chain is firewalld's or ufw's, who have checks and commands of their own."""
    return any(sign in chain for sign in OF_FIREWALLS)


def ranges(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether the ranges of pods, services and container nodes are free on the machine."""
    if not machine.has_pods:
        return []
    inventory = cluster.inventory
    named = {
        "slipway_pod_subnet": inventory.pod_subnet,
        "slipway_service_subnet": inventory.service_subnet,
        "node_containers_subnet": inventory.segment if machine.use is Use.HOST else "",
    }
    if machine.made and not cluster.routed:
        named.pop("slipway_pod_subnet")  # the ways into it are those of another pod network
    wanted = {name: own for name, text in named.items() if (own := network_of(text))}
    used = [(network, each) for each in machine.routes if (network := network_of(each.to))]
    troubles = []
    for name, own in wanted.items():
        segment = name == "node_containers_subnet"
        free = free_range(own, [*(network for network, _ in used), *wanted.values()])
        for network, route in used:
            engine = segment and route.device.startswith(ENGINE_DEVICES)
            whole = network.prefixlen < WHOLE
            if not overlap(own, network) or whole or _is_own(route) or engine:
                continue
            what = f"{name} {own} overlaps with {network}, the way to which is {route.device}"
            fix = f"set {name} to a range that nothing else uses, such as {free}"
            # The longer prefix decides where a packet goes, and containers have ways of their own.
            hidden = network.prefixlen < own.prefixlen or (machine.use is Use.HOST and not segment)
            judge = warn if hidden else machine.hinders
            troubles.append(judge(f"{what}: what is in both is not reached", fix))
    return unless("free: " + ", ".join(map(str, wanted.values())), troubles)


def overlap(one: Network, other: Network) -> bool:
    """Whether there are addresses in both."""
    return one.version == other.version and one.overlaps(other)


def _is_own(route: Route) -> bool:
    return route.device in OWN_DEVICES or route.protocol == OWN_PROTOCOL


def free_range(like: Network, used: Iterable[Network]) -> str:
    """A range as large as another, that overlaps with nothing in use; empty if there is none."""
    taken = [*used]
    for text in FREE[like.version]:
        whole = ipaddress.ip_network(text)
        if whole.prefixlen > like.prefixlen:
            continue
        # From the upper end: the lower one is what everybody begins with.
        step = 1 << (like.max_prefixlen - like.prefixlen)
        for number in range(int(whole.broadcast_address) + 1 - step, int(whole[0]) - 1, -step):
            network = ipaddress.ip_network((number, like.prefixlen))
            if not any(overlap(network, each) for each in taken):
                return str(network)
    return ""


def address(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether a node has the address that the inventory says."""
    wanted = cluster.inventory.nodes.get(machine.name, "")
    if not machine.is_node or not address_of(wanted):  # which is said of the inventory
        return []
    if wanted in machine.known("taken", Taken).found:
        what = f"somebody else on the segment has {wanted}, too"
        return [fail(what, "give one of the two another address (node_address)")]
    if own := _own(machine, cluster):
        segment = ipaddress.ip_interface(f"{own.address}/{own.length}").network
        return [ok(f"{wanted} on {own.device}, {segment}")]
    there = (each for each in machine.addresses if each.device not in OWN_DEVICES)
    has = ", ".join(
        f"{each.address}/{each.length} on {each.device}" for each in there if _is_seen(each.address)
    )
    what = f"{wanted} is none of its addresses ({has or 'it has none'})"
    return [fail(what, "set node_address to the one by which the other nodes reach it")]


def _own(machine: Machine, cluster: Cluster) -> Address | None:
    """The address that the inventory says, if the machine has it."""
    wanted = address_of(cluster.inventory.nodes[machine.name])
    found = (each for each in machine.addresses if address_of(each.address) == wanted)
    return next(found, None) if wanted else None


def segment(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether the other nodes and the pool are on a node's segment, as its routes say.

    Nothing where it is not known on which segment the machine is to be.
    """
    if not machine.is_node or not (own := _own(machine, cluster)):
        return []
    inventory, ways = cluster.inventory, machine.known("ways", dict[str, str])
    # Another pod network may cross segments; MetalLB's announcements do not.
    others = [(name, text) for name, text in inventory.nodes.items() if name != machine.name]
    nodes = _beyond(ways, others if cluster.routed else [])
    pool = _beyond(ways, [(POOL, end) for end in pool_ends(inventory.pool)])
    at = f"{own.address}/{own.length} on {own.device}"
    troubles = []
    if nodes:
        what = f"nodes that are not on that of {at}: {', '.join(nodes)}"
        fix = (
            "pods are routed without an overlay: give all nodes addresses on one segment, and name "
            "these as node_address; or bring a pod network that crosses segments, with "
            "pod_network_manifest"
        )
        troubles.append(machine.hinders(what, fix))
    if pool:
        what = f"addresses for services that are not on that of {at}: {', '.join(pool)}"
        fix = (
            f"MetalLB announces them on the nodes' segment alone: choose {POOL} from that; or if "
            "its router has an address in that range, say so on every node, by 'ip route add RANGE "
            "dev INTERFACE' and in the settings of its network"
        )
        troubles.append(machine.hinders(what, fix))
    return unless(f"all nodes and {POOL}" if cluster.routed else POOL, troubles)


def _beyond(ways: Mapping[str, str], targets: Iterable[tuple[str, str]]) -> list[str]:
    """Those of the targets, names and addresses, to which no way leads without a router."""
    found = []
    for name, text in targets:
        if text not in ways:  # it is no address, which is said of the inventory
            continue
        way = ways[text].split()
        routers = way[way.index("via") :] if "via" in way else []
        leads_there = way[:1] == ["local"] or bool(way and address_of(way[0]))
        if routers or not leads_there:
            by = f"by {next(filter(address_of, routers))}" if routers else "by no way"
            found.append(f"{name} {text} ({by})")
    return found


def _is_seen(text: str) -> bool:
    """Whether others may know a machine by an address."""
    own = ipaddress.ip_address(text)
    return not (own.is_loopback or own.is_link_local)


def pool(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether nobody on the segment has an address of the pool."""
    if machine.use is not Use.CONTROL_PLANE:
        return []
    taken = machine.known("taken", Taken)
    own = cluster.inventory.nodes.get(machine.name, "")
    if found := [each for each in taken.found if each != own]:
        what = f"somebody on the segment has {', '.join(found)} of metallb_pool"
        return [fail(what, "give metallb_pool addresses that nobody has")]
    return [ok(f"{taken.asked} addresses asked for, nobody has one")] if taken.asked else []


CHECKS = (forwarding, firewalld, ufw, firewall, ranges, address, segment, pool)

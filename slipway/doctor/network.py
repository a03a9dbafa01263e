"""The networks of a machine: whether packets get through, and whether addresses are free."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from slipway.doctor.findings import Result, Unknown, fail, ok, unless, warn
from slipway.doctor.machine import Cluster, Forwarding, Machine, Route, Taken, Use
from slipway.preflight import Inventory, Network, address_of, network_of

OWN_DEVICES = ("cni0",)
OWN_PROTOCOL = "217"
"""What pods are reached by on a node; the role pod_network says so."""

ENGINE_DEVICES = ("br-", "docker")
"""What the bridges of Docker's networks are called, which the engine is asked about itself."""

FREE = {4: ("172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"), 6: ("fd00::/8",)}
"""Where a range is looked for that nobody uses."""

WHOLE = 8
"""Shorter prefixes are halves of everything, by which VPNs take the place of the default route."""

PORTS = "6443, 10250, 7946 and 2379-2380"


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


def firewall(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether packet filters leave the nodes' and the pods' packets through."""
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
        if pods not in chain:
            name = chain.splitlines()[0]
            what = f"{name} drops what is forwarded, and so what pods send to those of other nodes"
            fix = f"let it through, as with ufw: ufw route allow from {pods} to {pods}"
            yield machine.hinders(what, fix)
    for chain in filters["input"]:
        what = f"{chain.splitlines()[0]} drops what no rule lets in"
        yield warn(what, f"let the other nodes reach ports {PORTS} (ufw allow from ADDRESS)")


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
    """Whether a node has the address that the inventory says, on one segment with the others."""
    if not machine.is_node:
        return []
    nodes = cluster.inventory.nodes
    wanted = nodes[machine.name]
    own = [each for each in machine.addresses if address_of(each.address) == address_of(wanted)]
    if not own:
        there = (each for each in machine.addresses if each.device not in OWN_DEVICES)
        has = ", ".join(each.address for each in there if _is_seen(each.address))
        what = f"{wanted} is no address of it; it has {has or 'none'}"
        return [fail(what, "set node_address to the one by which the other nodes reach it")]
    segment = ipaddress.ip_interface(f"{own[0].address}/{own[0].length}").network
    apart = [
        f"{name} ({text})"
        for name, text in nodes.items()
        if (other := address_of(text)) and other not in segment
    ]
    troubles = []
    if apart and cluster.routed:
        what = f"{', '.join(apart)} not on its segment {segment}, to which alone pods are routed"
        fix = "take machines of one segment, or another pod network (pod_network_manifest)"
        troubles.append(fail(what, fix))
    return unless(f"{wanted} on {own[0].device}, {segment}", troubles)


def _is_seen(text: str) -> bool:
    """Whether others may know a machine by an address."""
    own = ipaddress.ip_address(text)
    return not (own.is_loopback or own.is_link_local)


def pool(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether nobody on the segment has an address of the pool."""
    if machine.use is not Use.CONTROL_PLANE:
        return []
    taken = machine.known("taken", Taken)
    if taken.found:
        what = f"somebody on the segment has {', '.join(taken.found)} of metallb_pool"
        return [fail(what, "give metallb_pool addresses that nobody has")]
    return [ok(f"{taken.asked} addresses asked for, nobody has one")] if taken.asked else []


CHECKS = (forwarding, firewall, ranges, address, pool)

"""Firewalls of machines: what a node needs let through, and the commands that do that."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

EVERY_NODE = ("10250/tcp", "7946/tcp", "7946/udp", "80/tcp", "443/tcp")
"""Ports of the kubelet, of MetalLB's speakers among each other, and of services on the pool."""

CONTROL_PLANE = ("6443/tcp", "2379-2380/tcp")
"""Ports of the API server and of etcd."""

_SERVICES = {
    "http": "80/tcp",
    "https": "443/tcp",
    "kube-apiserver": "6443/tcp",
    "kubelet": "10250/tcp",
}
"""Names that firewalld has for these ports."""

_PORTS = re.compile(r"(?P<first>\d+)(?:[-:](?P<last>\d+))?(?:/(?P<protocol>\w+))?")
"""A port or a range of them, of one protocol or of any."""


@dataclass(frozen=True)
class Traffic:
    """What has to get through to a node: what is for its ports, and all of pods and services."""

    ports: Sequence[str]
    pods: str
    services: str


def firewalld(wanted: Traffic, interface: str, default: str, listed: Iterable[str]) -> list[str]:
    """The commands that have firewalld let it through; none if it does.

    ``default`` is the zone of interfaces that are in none, ``listed`` what
    ``firewall-cmd --list-all-zones`` says.
    """
    zones = _zones(listed)
    name = next((each for each in zones if interface in zones[each].get("interfaces", [])), default)
    zone = zones.get(name, {})
    if _lets_all_through(zone):
        return []
    services = (_SERVICES.get(each) for each in zone.get("services", []))
    allowed = [*zone.get("ports", []), *filter(None, services)]
    trusted = [
        source
        for each in zones.values()
        if _lets_all_through(each)
        for source in each.get("sources", [])
    ]
    ports = [f"--add-port={each}" for each in wanted.ports if not _has_port(allowed, each)]
    networks = (wanted.pods, wanted.services)
    sources = [f"--add-source={each}" for each in networks if not _has_network(trusted, each)]
    commands = [
        f"firewall-cmd --permanent --zone={each} {' '.join(changes)}"
        for each, changes in ((name, ports), ("trusted", sources))
        if changes
    ]
    return [*commands, "firewall-cmd --reload"] if commands else []


def ufw(wanted: Traffic, interface: str, status: Iterable[str], added: Iterable[str]) -> list[str]:
    """The commands that have ufw let it through; none if it does.

    ``status`` is what ``ufw status verbose`` says, ``added`` what ``ufw show added`` does.
    """
    defaults = " ".join(line for line in status if line.startswith("Default:"))
    rules = [line.removeprefix("ufw ").strip() for line in added if line.startswith("ufw ")]
    allowed = [port for rule in rules for port in _ports_of(rule)]
    sources = _ends(rules, "allow from ")
    commands = []
    if "allow (incoming)" not in defaults and f"allow in on {interface}" not in rules:
        ports = (each.replace("-", ":") for each in wanted.ports if not _has_port(allowed, each))
        networks = (wanted.pods, wanted.services)
        commands += [f"allow {each}" for each in ports]
        commands += [f"allow from {each}" for each in networks if not _has_network(sources, each)]
    if "allow (routed)" not in defaults:
        commands += [
            f"{begin}{wanted.pods}"
            for begin in ("route allow from ", "route allow to ")
            if not _has_network(_ends(rules, begin), wanted.pods)
        ]
    return [f"ufw {each}" for each in commands]


def _zones(listed: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """firewalld's zones by name, each with what it has by its title."""
    zones: dict[str, dict[str, list[str]]] = {}
    zone: dict[str, list[str]] = {}
    for line in listed:
        if line[:1].strip():
            zone = zones.setdefault(line.split()[0], {})
        else:
            title, _, values = line.strip().partition(":")
            zone[title] = values.split()
    return zones


def _lets_all_through(zone: dict[str, list[str]]) -> bool:
    return zone.get("target") == ["ACCEPT"]


def _ports_of(rule: str) -> Iterator[str]:
    """The ports of a rule that opens some to everybody, each as firewalld would write it."""
    verb, _, ports = rule.partition(" ")
    numbers, slash, protocol = ports.partition("/")
    if verb == "allow" and " " not in ports:
        yield from (f"{each}{slash}{protocol}" for each in numbers.split(","))


def _ends(rules: Iterable[str], beginning: str) -> list[str]:
    """What follows in those rules that begin so, and say no more."""
    found = (rule.removeprefix(beginning) for rule in rules if rule.startswith(beginning))
    return [each for each in found if " " not in each]


def _has_port(allowed: Iterable[str], wanted: str) -> bool:
    """Whether a port, or all of a range, is among those that are allowed."""
    first, last, protocol = _range(wanted) or (0, 0, "")
    ranges = filter(None, map(_range, allowed))
    return any(low <= first and last <= high and of in ("", protocol) for low, high, of in ranges)


def _range(text: str) -> tuple[int, int, str] | None:
    """The first and the last port, and the protocol; None for what is no number."""
    found = _PORTS.fullmatch(text)
    if not found:
        return None
    first = int(found["first"])
    return first, int(found["last"] or first), found["protocol"] or ""


def _has_network(allowed: Iterable[str], wanted: str) -> bool:
    """Whether a network is one of those that are allowed, or lies in one."""
    network = ipaddress.ip_network(wanted)
    for text in allowed:
        try:
            other = ipaddress.ip_network(text, strict=False)
        except ValueError:  # an interface's address, a set of addresses
            continue
        if other.version == network.version and network.subnet_of(other):  # type: ignore[arg-type]
            return True
    return False

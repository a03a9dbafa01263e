"""What firewalls let through, by their own words, and the commands for what they do not."""

from __future__ import annotations

import pytest

from slipway.nodes.firewalls import CONTROL_PLANE, EVERY_NODE, Traffic, firewalld, ufw

WORKER = Traffic(EVERY_NODE, "10.244.0.0/16", "10.96.0.0/16")
CONTROL = Traffic((*CONTROL_PLANE, *EVERY_NODE), "10.244.0.0/16", "10.96.0.0/16")

PORTS = "10250/tcp 7946/tcp 7946/udp 80/tcp 443/tcp"
SUBNETS = "10.244.0.0/16 10.96.0.0/16"

TRUST = (
    "firewall-cmd --permanent --zone=trusted --add-source=10.244.0.0/16 --add-source=10.96.0.0/16"
)
RELOAD = "firewall-cmd --reload"


def zone(name: str, **has: str) -> str:
    """A zone as firewall-cmd lists it."""
    shown = {"target": "default", "interfaces": "", "sources": "", "services": "", "ports": ""}
    lines = "".join(f"  {title}: {value}\n" for title, value in {**shown, **has}.items())
    return f"{name}\n{lines}  icmp-block-inversion: no\n  rich rules: \n\n"


def told_to_firewalld(*zones: str, wanted: Traffic = WORKER, default: str = "public") -> list[str]:
    """The commands for a machine with these zones."""
    return firewalld(wanted, "eth0", default, "".join(zones).splitlines())


def opened(name: str, *ports: str) -> str:
    """The command that opens ports in a zone."""
    return f"firewall-cmd --permanent --zone={name} {' '.join(f'--add-port={p}' for p in ports)}"


def test_firewalld_as_it_is_installed_is_told_everything() -> None:
    public = zone("public (default, active)", interfaces="eth0", services="dhcpv6-client ssh")
    trusted = zone("trusted", target="ACCEPT")
    assert told_to_firewalld(trusted, public) == [opened("public", *EVERY_NODE), TRUST, RELOAD]
    assert told_to_firewalld(trusted, public, wanted=CONTROL)[0] == opened(
        "public", "6443/tcp", "2379-2380/tcp", *EVERY_NODE
    )


def test_firewalld_is_told_nothing_that_it_lets_through() -> None:
    trusted = zone("trusted (active)", target="ACCEPT", sources=SUBNETS)
    assert told_to_firewalld(trusted, zone("public (active)", interfaces="eth0", ports=PORTS)) == []


@pytest.mark.parametrize(
    ("has", "lacking"),
    [
        ({"ports": "7946/tcp 7946/udp 80/tcp 443/tcp"}, ["10250/tcp"]),
        ({"ports": "10000-11000/tcp 7946/tcp 7946/udp", "services": "https http"}, []),
        ({"ports": "7946/tcp 80/tcp", "services": "kubelet https ssh"}, ["7946/udp"]),
        ({"ports": "10250/udp 7946/tcp 7946/udp 80/tcp 443/tcp"}, ["10250/tcp"]),
    ],
)
def test_firewalld_s_ports_are_counted_as_ranges_and_by_name(
    has: dict[str, str], lacking: list[str]
) -> None:
    trusted = zone("trusted", target="ACCEPT", sources=SUBNETS)
    told = told_to_firewalld(trusted, zone("public (active)", interfaces="lo eth0", **has))
    assert told == ([opened("public", *lacking), RELOAD] if lacking else [])


def test_a_range_counts_only_as_a_whole() -> None:
    trusted = zone("trusted", target="ACCEPT", sources=SUBNETS)
    public = zone("public", ports=f"{PORTS} 6443/tcp 2379/tcp")
    told = told_to_firewalld(trusted, public, wanted=CONTROL)
    assert told == [opened("public", "2379-2380/tcp"), RELOAD]


def test_the_zone_is_that_of_the_node_s_interface_or_else_the_default_one() -> None:
    trusted = zone("trusted", target="ACCEPT", sources="10.0.0.0/8")
    dmz = zone("dmz (active)", interfaces="eth0")
    public = zone("public", ports=PORTS)
    assert told_to_firewalld(trusted, dmz, public) == [opened("dmz", *EVERY_NODE), RELOAD]
    assert told_to_firewalld(trusted, zone("dmz"), public) == []


def test_an_interface_that_is_trusted_needs_nothing() -> None:
    trusted = zone("trusted (active)", target="ACCEPT", interfaces="eth0")
    assert told_to_firewalld(zone("public"), trusted) == []


@pytest.mark.parametrize(
    ("sources", "added"),
    [
        ("10.0.0.0/8", ""),
        ("10.244.0.0/16 ipset:nodes 00:11:22:33:44:55", "--add-source=10.96.0.0/16"),
        (
            "10.244.1.0/24 2001:db8::/32",
            "--add-source=10.244.0.0/16 --add-source=10.96.0.0/16",
        ),
    ],
)
def test_only_whole_networks_of_a_zone_that_accepts_all_are_trusted(
    sources: str, added: str
) -> None:
    told = told_to_firewalld(
        zone("trusted", target="ACCEPT", sources=sources),
        zone("work", sources=SUBNETS),
        zone("public", ports=PORTS),
    )
    trust = f"firewall-cmd --permanent --zone=trusted {added}"
    assert told == ([trust, RELOAD] if added else [])


STATUS = "Status: active\nLogging: on (low)\nDefault: {}\nNew profiles: skip\n"
STRICT = "deny (incoming), allow (outgoing), deny (routed)"
UFW = [
    "ufw allow 10250/tcp",
    "ufw allow 7946/tcp",
    "ufw allow 7946/udp",
    "ufw allow 80/tcp",
    "ufw allow 443/tcp",
    "ufw allow from 10.244.0.0/16",
    "ufw allow from 10.96.0.0/16",
    "ufw route allow from 10.244.0.0/16",
    "ufw route allow to 10.244.0.0/16",
]


def told_to_ufw(*added: str, default: str = STRICT, wanted: Traffic = WORKER) -> list[str]:
    """The commands for a machine on which these were given before."""
    head = "Added user rules (see 'ufw status' for running firewall):"
    return ufw(wanted, "eth0", STATUS.format(default).splitlines(), [head, *added])


def test_ufw_as_it_is_installed_is_told_everything() -> None:
    assert told_to_ufw("(None)") == UFW
    assert told_to_ufw("ufw allow 22/tcp", wanted=CONTROL) == [
        "ufw allow 6443/tcp",
        "ufw allow 2379:2380/tcp",
        *UFW,
    ]


@pytest.mark.parametrize("number", range(len(UFW)))
def test_ufw_is_told_what_is_left_of_its_own_commands(number: int) -> None:
    given = UFW[:number] + UFW[number + 1 :]
    assert told_to_ufw(*given) == [UFW[number]]


@pytest.mark.parametrize(
    ("added", "open_by_it"),
    [
        ("ufw allow 7946", ["ufw allow 7946/tcp", "ufw allow 7946/udp"]),
        ("ufw allow 80,443/tcp", ["ufw allow 80/tcp", "ufw allow 443/tcp"]),
        ("ufw allow 10000:11000/tcp", ["ufw allow 10250/tcp"]),
        ("ufw allow from 10.0.0.0/8", UFW[5:7]),
        ("ufw route allow from 10.0.0.0/8", ["ufw route allow from 10.244.0.0/16"]),
        ("ufw allow in on eth0", UFW[:7]),
        ("ufw allow in on eth1", []),
        ("ufw limit 10250/tcp", []),
        ("ufw deny 80/tcp", []),
        ("ufw allow from 192.0.2.0/24 to any port 10250 proto tcp", []),
        ("ufw allow OpenSSH", []),
    ],
)
def test_ufw_s_rules_count_for_what_they_say(added: str, open_by_it: list[str]) -> None:
    assert told_to_ufw(added) == [command for command in UFW if command not in open_by_it]


def test_ufw_s_defaults_count() -> None:
    assert told_to_ufw(default="allow (incoming), allow (outgoing), deny (routed)") == UFW[7:]
    assert told_to_ufw(default="deny (incoming), allow (outgoing), allow (routed)") == UFW[:7]

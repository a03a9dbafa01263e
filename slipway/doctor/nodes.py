"""The machines that are to be nodes: whether they are reached, and are what node_look allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from slipway.doctor import certificates
from slipway.doctor.findings import Check, Result, fail, ok, warn
from slipway.doctor.machine import Machine, Use
from slipway.doctor.reached import Shell, hindrances
from slipway.errors import SlipwayError
from slipway.kube.objects import grouped
from slipway.nodes.host_keys import HostKey, problems
from slipway.preflight import Inventory

SKEW, MOST_SKEW = 10.0, 300.0
"""Seconds: certificates of kubeadm's are valid from five minutes before they are made."""

CLOCK = "on both: timedatectl set-ntp true, or another service that sets clocks"

ANOTHER_ID = (
    "if they are two machines, one is a copy of the other: on it, as root, 'rm /etc/machine-id "
    "/var/lib/dbus/machine-id; systemd-machine-id-setup' and a reboot; if they are one, take it "
    "out of the inventory once"
)
"""Addresses by DHCP, among others, are given by it."""

RENAME = "on one of them, as root: hostnamectl set-hostname NAME"

WAY = (
    "it has to be reached as the inventory says (ansible_host, ansible_port, ansible_user, "
    "ansible_ssh_private_key_file, ansible_ssh_common_args)"
)


def machine(name: str, seen: Mapping[str, Any], inventory: Inventory) -> Machine:
    """A node as the module machine_look saw it."""
    use = Use.CONTROL_PLANE if name in inventory.control_plane else Use.WORKER
    made = seen.get("state") == "member"
    return Machine(name, use, seen.get("facts", {}), seen.get("unknown", {}), made)


def host_keys(machines: Iterable[Mapping[str, Any]]) -> Iterable[Result]:
    """The SSH host keys for which machines are not reached, as one result for all that are new."""
    keys = [msgspec.convert(key, HostKey) for each in machines if (key := each.get("host_key"))]
    if found := [*problems(keys)]:
        raise SlipwayError(found)
    return []


def identities(machines: Mapping[str, Mapping[str, Any]]) -> Iterable[Result]:
    """Whether the nodes tell themselves apart as machines do, and none is there twice."""
    known = {
        name: each["facts"]["identity"]
        for name, each in machines.items()
        if "identity" in each.get("facts", {})
    }
    for kind, title, fix in (
        ("machine_id", "machine-id", ANOTHER_ID),
        ("hostname", "name", RENAME),
    ):
        named = [(name, own[kind]) for name, own in known.items() if own[kind]]
        for value, group in grouped(named, lambda pair: pair[1]).items():
            if len(group) < 2:
                continue
            names = [name for name, _value in group]
            what = f"{', '.join(names)} have the same {title}, {value}"
            made = all(machines[name].get("state") == "member" for name in names)
            yield (warn if made or kind == "hostname" else fail)(what, fix)


def checks(seen: Mapping[str, Any]) -> dict[str, Check]:
    """The checks of what is not a fact of a machine alone."""
    if "facts" not in seen:
        return {"reached": partial(_unreached, seen)}
    return {
        "node": partial(_node, seen),
        "certificates": partial(certificates.of_node, seen),
        "clock": partial(_clock, float(seen["skew"])),
    }


def _unreached(seen: Mapping[str, Any]) -> Iterable[Result]:
    """Why a machine could not be looked at; nothing of host keys, which are told of all at once."""
    if seen.get("host_key"):
        return []
    if "shell" in seen and (found := [*hindrances(msgspec.convert(seen["shell"], Shell))]):
        return found
    why = str(seen.get("failure") or seen.get("msg") or "it was left out").strip()
    if not seen.get("reached", True):
        return [fail(f"cannot be reached: {why}", WAY)]
    fix = "mend what is said there; 'ansible -i INVENTORY NODE -m ping --become' tries it"
    return [fail(f"cannot be looked at: {why}", fix)]


def _node(seen: Mapping[str, Any]) -> Iterable[Result]:
    """Whether it is bare, or a node of this cluster."""
    refusals = seen.get("refusals") or []
    found = [fail("\n".join([each["what"], *each["found"]]), each["fix"]) for each in refusals]
    return found or [ok({"member": "a node of this cluster"}.get(seen["state"], seen["state"]))]


def _clock(skew: float) -> Iterable[Result]:
    """Whether certificates that one machine makes are valid on the other."""
    if abs(skew) < SKEW:
        return [ok("agrees with this machine's")]
    what = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    if abs(skew) > MOST_SKEW:
        return [fail(f"{what}: certificates are not valid yet", CLOCK)]
    return [warn(what, CLOCK)]

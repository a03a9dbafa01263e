"""Machines as the doctor sees them: what was read of one on which everything will do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from slipway.doctor.findings import Result
from slipway.doctor.machine import Cluster, Machine, Use
from slipway.preflight import Inventory

GIB = 1 << 30

CONTROL_PLANE, WORKER = "control", "worker"

CONTAINERS = Inventory(
    nodes={CONTROL_PLANE: "172.29.0.2", WORKER: "172.29.0.3"},
    control_plane=[CONTROL_PLANE],
    pool=["172.29.255.200-172.29.255.250"],
    pod_subnet="10.244.0.0/16",
    service_subnet="10.96.0.0/16",
    segment="172.29.0.0/16",
)
MACHINES = replace(
    CONTAINERS,
    nodes={CONTROL_PLANE: "192.0.2.11", WORKER: "192.0.2.21"},
    pool=["192.0.2.200-192.0.2.220"],
    segment="",
)


def cluster(**changes: Any) -> Cluster:
    """A cluster of containers that is still to be made, unless said otherwise."""
    sound = Cluster("slipway", CONTAINERS, bundles_to_make=1, made=False)
    return replace(sound, **changes)


def place(path: str, **changes: Any) -> dict[str, Any]:
    """A file system with room."""
    sound = {
        "path": path,
        "device": 1,
        "mount": "/",
        "kind": "ext4",
        "options": ["rw", "relatime"],
        "writable": True,
        "size": 100 * GIB,
        "free": 50 * GIB,
        "inodes": 6_000_000,
        "inodes_free": 5_000_000,
    }
    return sound | changes


SOUND: dict[str, Any] = {
    "system": {
        "id": "debian",
        "like": [],
        "version": "13",
        "name": "Debian GNU/Linux 13 (trixie)",
        "kernel": "6.12.43+deb13-amd64",
        "processor": "x86_64",
        "bits": 64,
        "wsl": False,
        "systemd": True,
        "python": "3.13.5",
        "user": 0,
    },
    "lacking": [],
    "selinux": {"enforces": False, "knows_containers": False},
    "cores": 4,
    "memory": {"total": 16 * GIB, "swap": 0},
    "bounds": {"files": 524288},
    "inotify": {"instances": 1024, "watches": 524288},
    "control_groups": {
        "version": 2,
        "controllers": ["cpuset", "cpu", "io", "memory", "pids"],
        "writable": True,
    },
    "modules": {"overlay": "there", "veth": "loadable"},
    "forwarding": {"on": True, "ended_by": []},
    "places": {
        "cache": place("/root/.cache/slipway"),
        "engine": place("/var/lib/docker"),
        "images": place("/var/lib/containerd"),
        "pods": place("/var/lib/kubelet"),
        "programs": place("/usr/local/bin"),
        "settings": place("/etc"),
    },
    "routes": [{"to": "192.0.2.0/24", "device": "eth0", "protocol": "kernel"}],
    "ways": {
        f"192.0.2.{last}": f"192.0.2.{last} dev eth0 src 192.0.2.11 uid 0 \\    cache"
        for last in (11, 21, 200, 220)
    },
    "addresses": [
        {"address": "127.0.0.1", "length": 8, "device": "lo"},
        {"address": "192.0.2.11", "length": 24, "device": "eth0"},
    ],
    "filters": {"forward": [], "input": [], "user": []},
    "firewalld": {"default": "", "zones": []},
    "ufw": {"status": [], "added": []},
    "taken": {"asked": 21, "found": []},
    "identity": {"hostname": "control", "machine_id": "b015e6b1f20e4a85a8b53a60409c6443"},
    "etcd": {"there": False, "health": ""},
    "sync": 0.002,
    "clock": 1_700_000_000.0,
}
"""Facts of a machine that will do."""


def machine(use: Use = Use.HOST, *, made: bool = False, **changes: Any) -> Machine:
    """A machine that will do but for the changes: parts of facts, or whole ones that are lists."""
    facts = copy.deepcopy(SOUND)
    for name, change in changes.items():
        whole = not isinstance(change, dict)
        facts[name] = change if whole else facts[name] | change
    name = {Use.CONTROL_PLANE: CONTROL_PLANE, Use.WORKER: WORKER}.get(use, "localhost")
    return Machine(name, use, facts, {}, made)


Check = Callable[[Machine, Cluster], Iterable[Result]]


def told(results: Iterable[Result]) -> list[tuple[str, str]]:
    """The state of each result, and what was found."""
    return [(str(each.state), each.found) for each in results]

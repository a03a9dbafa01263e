"""The file systems of a machine: room, and whether programs may be put there and run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from slipway.doctor.findings import Result, fail, unless, warn
from slipway.doctor.machine import Cluster, Machine, Place, Use, size

GIB = 1 << 30

CONTROL_NODE = ("cache",)
HOST = ("cache", "engine")
NODE = {
    "images": "/var/lib/containerd",
    "pods": "/var/lib/kubelet",
    "programs": "/usr/local/bin",
    "settings": "/etc",
}
"""What a node keeps, and where."""

BUNDLE = 5 * GIB
"""What it takes to make one, with the compiler's cache."""

TO_MAKE = {"engine": 4 * GIB, "images": 3 * GIB, "pods": 1 * GIB}
"""What it takes to make container nodes and a node."""

TO_RUN = {"cache": 1 * GIB, "engine": 1 * GIB, "images": 1 * GIB, "pods": GIB // 4}
"""What a run takes where all of these are there."""

EASY = 1.5
"""How many times as much lasts for a while."""

EVICTION = {"images": 0.15, "pods": 0.10}
"""The kubelet of a machine ends pods when no more than this part is free."""

INODES = 100_000
"""More than there are files in a bundle or on a node."""

INODES_EVICTION = 0.05

LACKING = {
    "9p": "owners and locks",
    "drvfs": "owners and locks",
    "exfat": "owners and links",
    "fuseblk": "owners and links",
    "msdos": "owners and links",
    "ntfs3": "owners and links",
    "vfat": "owners and links",
}
"""File systems that lack something which all of it is made with."""

REMOTE = ("cifs", "fuse.sshfs", "nfs", "nfs4", "smb3")
"""File systems on other machines."""

OVERLAID = ("engine", "images")
"""Places where containerd's overlay lies."""

NOT_RUN = ("pods", "settings")
"""Places of which no program is run."""


def room(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether there is enough on each file system for all that it gets."""
    places = machine.places
    wanted = _wanted(machine, cluster)
    by_device: dict[int, list[str]] = defaultdict(list)
    for name in wanted:
        by_device[places[name].device].append(name)
    troubles: list[Result] = []
    for names in by_device.values():
        place = places[names[0]]
        least = sum(wanted[name] for name in names)
        what = f"{size(place.free)} free for {_named(names, places)}"
        fix = f"make room on {place.mount} (df -h {place.path}), or put it elsewhere"
        if place.free < least:
            troubles.append(fail(f"{what}; it takes {size(least)}", fix))
        elif place.free < least * EASY:
            troubles.append(warn(f"{what}; {size(least * EASY)} last for a while", fix))
        troubles += _evicted(machine, names, place, fix)
        troubles += _inodes(machine, place)
    free = {places[name].mount: size(places[name].free) for name in wanted}
    return unless(", ".join(f"{n} free on {mount}" for mount, n in free.items()), troubles)


def _wanted(machine: Machine, cluster: Cluster) -> dict[str, int]:
    if machine.is_node:
        return {name: (TO_RUN if machine.made else TO_MAKE)[name] for name in ("images", "pods")}
    wanted = {"cache": TO_RUN["cache"] + cluster.bundles_to_make * BUNDLE}
    if machine.use is Use.HOST:
        wanted["engine"] = (TO_RUN if cluster.made else TO_MAKE)["engine"]
    return wanted


def _named(names: Iterable[str], places: Mapping[str, Place]) -> str:
    return " and ".join(places[name].path for name in names)


def _evicted(machine: Machine, names: list[str], place: Place, fix: str) -> Iterable[Result]:
    """A kubelet in a container does not look at the disk, which is its host's."""
    part = max((EVICTION[name] for name in names if name in EVICTION), default=0.0)
    if machine.is_node and place.size and place.free / place.size <= part:
        what = f"{place.free / place.size:.0%} of {place.mount} free, where the kubelet ends pods"
        yield fail(f"{what} at {part:.0%}", fix)


def _inodes(machine: Machine, place: Place) -> Iterable[Result]:
    """Some file systems have no table of them, and say that there are none."""
    if not place.inodes:
        return
    what = f"{place.inodes_free} inodes free on {place.mount}"
    fix = f"remove small files there (df -i {place.mount})"
    if machine.is_node and place.inodes_free / place.inodes <= INODES_EVICTION:
        yield fail(f"{what}, where the kubelet ends pods", fix)
    elif place.inodes_free < INODES // 10:
        yield fail(f"{what}: not enough for what is unpacked there", fix)
    elif place.inodes_free < INODES:
        yield warn(f"{what}; {INODES} last for a while", fix)


def file_systems(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether what is put there can be written, run and linked."""
    places = machine.places
    names = NODE if machine.is_node else HOST if machine.use is Use.HOST else CONTROL_NODE
    troubles = [each for name in names for each in _unfit(name, places[name])]
    said = {places[name].mount: places[name].kind for name in names}
    return unless(", ".join(f"{kind} on {mount}" for mount, kind in said.items()), troubles)


def _unfit(name: str, place: Place) -> Iterable[Result]:
    at = f"{place.path} is on {place.mount} ({place.kind})"
    elsewhere = f"have a disk of this machine at {place.path}, with ext4 or xfs"
    if not place.writable:
        yield fail(f"{at}, which is read-only", elsewhere)
    elif name not in NOT_RUN and "noexec" in place.options:
        what = f"{at}, of which nothing may be run (noexec)"
        yield fail(what, f"mount -o remount,exec {place.mount}")
    if place.kind in LACKING:
        yield fail(f"{at}, which does not have {LACKING[place.kind]} as Linux has them", elsewhere)
    if place.kind in REMOTE:
        what = f"{at}, on another machine: slow, and its locks and owners may be others"
        yield warn(what, elsewhere)
    if place.kind == "overlay" and name in OVERLAID:
        yield fail(f"{at}: images of pods cannot be unpacked over an overlay", elsewhere)


CHECKS = (room, file_systems)

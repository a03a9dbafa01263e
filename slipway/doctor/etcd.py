"""etcd on a control plane: whether it has a quorum, and a disk that is fast enough for it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from slipway.doctor.findings import Result, ok, warn
from slipway.doctor.machine import Cluster, Machine, Use

SLOW = 0.1
"""Seconds between two heartbeats of etcd."""

FASTER = "give /var/lib/etcd a faster disk, or one that nothing else writes to"


class Etcd(Struct, frozen=True):
    """Whether a static pod of it is there, and what it says of itself; empty where it is silent."""

    there: bool
    health: str


def etcd(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether it answers, and knows who leads."""
    if machine.use is not Use.CONTROL_PLANE or not (has := machine.known("etcd", Etcd)).there:
        return []
    if '"health":"true"' in has.health.replace(" ", ""):
        return [ok("has a quorum")]
    if not has.health:
        fix = "there: systemctl status kubelet, journalctl -u kubelet -n 50, /var/log/pods"
        return [warn("does not answer, and so neither does the API server of this node", fix)]
    what = f"has no quorum, and so nothing can be changed: {has.health.strip()}"
    fix = (
        "more than half of the control planes have to run and to reach one another (TCP 2379-2380)"
    )
    # A run may be what mends it, as where certificates have ended.
    return [warn(what, fix)]


def etcd_disk(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether what is written is on the disk before etcd's members take each other for gone."""
    if machine.use is not Use.CONTROL_PLANE or machine.made:
        return []
    slowest = machine.known("sync", float)
    took = f"{slowest * 1000:.0f} ms until a write is on the disk"
    if slowest >= SLOW:
        return [warn(f"{took}, longer than between two heartbeats of etcd", FASTER)]
    return [ok(took)]


CHECKS = (etcd, etcd_disk)

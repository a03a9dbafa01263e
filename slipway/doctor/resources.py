"""How much a machine has: cores, memory, and what one user may have at a time."""

from __future__ import annotations

from collections.abc import Iterable

from slipway.doctor.findings import Result, fail, ok, unless, warn
from slipway.doctor.machine import Cluster, Inotify, Machine, Memory, Use, size

GIB = 1 << 30

CORES = 2
"""kubeadm refuses a control plane with fewer."""

LEAST_MEMORY = 1700 << 20
"""kubeadm refuses a control plane with less."""

MEMORY = 4 * GIB
"""What builds take at once."""

NODE_MEMORY = 2 * GIB
"""What a node takes; of two as containers and builds beside them, README.md has the sum."""

RESERVED = 1 / 16
"""The part of a machine's memory that its kernel may have taken before it counts."""

INSTANCES, WATCHES = 128, 8192
"""What a kernel allows by itself; systemd in a container needs some of it to begin with, and raises
both for the others."""

LEAST_INSTANCES, LEAST_WATCHES = 32, 1024

LIMITS = {
    "files": (1024, 4096, "raise it: ulimit -Hn 65536, or /etc/security/limits.conf"),
    "processes": (512, 2048, "raise pids.max of the container or slice"),
}
"""What a run cannot do with less than, what is enough, and how one has more."""


def cores(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether there are enough, and may be used."""
    there = machine.known("cores", int)
    share = machine.bounds.get("processor", there)
    found = f"{there}" if share >= there else f"{there}, of which {share:.1f} may be used"
    if machine.has_control_plane and there < CORES:
        return [fail(f"{found}; kubeadm needs {CORES}", f"give the machine {CORES} or more")]
    if share < CORES and machine.use is not Use.WORKER:
        what = f"{found}; with less than {CORES} everything takes long"
        return [warn(what, "give it more; -e slipway_wait_factor=5 lengthens every wait")]
    return [ok(found)]


def memory(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether it is enough, as the machine has it and as its control group may use it."""
    there = machine.known("memory", Memory).total
    most = min(there, int(machine.bounds.get("memory", there)))
    found = size(there)
    fix = "give the machine more"
    if most < there:
        found = f"{size(most)}, the bound of this control group; the machine has {size(there)}"
        fix = "give the control group (the container, the slice) more"
    wanted = NODE_MEMORY if machine.is_node else MEMORY
    if machine.use is Use.HOST:
        wanted += NODE_MEMORY * len(cluster.inventory.nodes)
    if machine.has_control_plane and most < LEAST_MEMORY:
        return [fail(f"{found}; a control plane needs {size(LEAST_MEMORY)}", fix)]
    if most < wanted * (1 - RESERVED):
        return [warn(f"{found}, of {size(wanted)} that it takes to be quick", fix)]
    return [ok(found)]


def swap(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether a node's etcd may be swapped out; the kubelet starts anyway."""
    there = machine.known("memory", Memory).swap
    if there and machine.is_node:
        what = f"{size(there)}; what is swapped out answers too late"
        return [warn(what, "on it, as root: swapoff -a, and take it out of /etc/fstab")]
    return [ok(size(there) if there else "none")]


def limits(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """How many files and processes one may have."""
    if machine.is_node:  # its services have those that systemd gives them
        return []
    troubles, said = [], []
    for name, (least, enough, fix) in LIMITS.items():
        bound = machine.bounds.get(name)
        said.append(f"{name} without limit" if bound is None else f"{bound:.0f} {name}")
        if bound is not None and bound < enough:
            judge = fail if bound < least else warn
            troubles.append(judge(f"{bound:.0f} {name} at most; {enough} are enough", fix))
    return unless(", ".join(said), troubles)


def inotify(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether systemd and the kubelet may watch files; once they run, they may watch more."""
    if not machine.has_pods:
        return []
    has = machine.known("inotify", Inotify)
    found = f"{has.instances} instances, {has.watches} watches"
    fix = f"as root: sysctl fs.inotify.max_user_instances={INSTANCES * 8}"
    fix += f" fs.inotify.max_user_watches={WATCHES * 8}"
    if has.instances < LEAST_INSTANCES or has.watches < LEAST_WATCHES:
        return [fail(f"{found}: too few for systemd to boot a node", fix)]
    if has.instances < INSTANCES or has.watches < WATCHES:
        return [warn(f"{found}, less than kernels allow by themselves", fix)]
    return [ok(found)]


CHECKS = (cores, memory, swap, limits, inotify)

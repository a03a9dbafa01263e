"""The system of a machine: distribution, processor, kernel, programs, control groups, SELinux."""

from __future__ import annotations

from collections.abc import Iterable

from slipway.doctor.findings import Result, fail, ok, unless, warn
from slipway.doctor.machine import Cluster, ControlGroups, Machine, SELinux, Use, numbers
from slipway.nodes.distributions import MODULES, SELINUX

LINUX_VM = "docs/linux-vm.md"
"""The way for those whose machine is not a Linux machine."""

NODE_SYSTEMS = {"debian": (12, 13)}
"""The distributions and versions that nodes have been made of."""

PROCESSORS = {"x86_64": "tried", "aarch64": "not tried yet"}
KERNEL = (5, 10)
"""Older ones do not have all that kube-proxy makes its rules of."""

CONTROLLERS = {
    1: ("cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids"),
    2: ("cpu", "cpuset", "memory", "pids"),
}
"""Those that the kubelet does not start without, by the version of control groups."""


def system(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """What runs on it, and whether that has been tried."""
    has = machine.system
    name = has.name or has.id or "Linux"
    troubles = []
    if has.wsl:
        what = f"{name} in Windows (WSL), where Slipway has not been tried"
        troubles.append(warn(what, f"a virtual machine is the surer way: {LINUX_VM}"))
    if machine.is_node and not has.systemd:
        what = f"{name} does not run systemd, which starts what a node needs"
        troubles.append(fail(what, "take another machine, or install a system with systemd"))
    tried, version = NODE_SYSTEMS.get(has.id, ()), numbers(has.version)
    # A testing release of Debian has no number.
    known = tried and (not version or version[0] in tried)
    if machine.is_node and not known:
        what = f"{name}; nodes have been made of Debian 12 and 13 alone"
        troubles.append(warn(what, "Debian 12 or 13 is the surer way"))
    return unless(name, troubles)


def processor(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether there is a bundle for it."""
    has = machine.system
    if has.bits < 64 or has.processor not in PROCESSORS:
        what = f"{has.processor} with {has.bits} bits; Kubernetes is made for x86_64 and aarch64"
        return [fail(what, "take a machine with such a processor, and a system of 64 bits")]
    if PROCESSORS[has.processor] != "tried":
        what = f"{has.processor}, for which a bundle is made, but which has not been tried"
        return [warn(what, "a machine with x86_64 is the surer way")]
    return [ok(has.processor)]


def kernel(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether it is new enough for what routes to services."""
    if not machine.has_pods:
        return []
    release = machine.system.kernel
    if numbers(release)[:2] < KERNEL:
        oldest = ".".join(map(str, KERNEL))
        what = f"{release}; nodes need {oldest} or newer"
        fix = "install a newer kernel or distribution (Debian 12 has 6.1), then reboot"
        return [machine.hinders(what, fix)]
    return [ok(release)]


def modules(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether the kernel has what networks and images of pods are made of."""
    if not machine.has_pods:
        return []
    found = machine.known("modules", dict[str, str])
    by_state = {state: sorted(n for n in found if found[n] == state) for state in found.values()}
    troubles = []
    if lost := by_state.get("lost"):
        release = machine.system.kernel
        what = f"{', '.join(lost)}: the running kernel {release} has no modules any more"
        troubles.append(machine.hinders(what, "it was upgraded, so reboot"))
    absent = by_state.get("absent", [])
    # Machines are refused without it; containers of one bridge get along.
    if machine.use is Use.HOST and "br_netfilter" in absent:
        absent.remove("br_netfilter")
        what = "the kernel has no br_netfilter: pods of one node may miss each other's services"
        troubles.append(warn(what, "boot the distribution's own kernel"))
    if absent:
        what = f"the kernel has no {', '.join(absent)}, nor may it be loaded"
        install = machine.system.distribution.install([MODULES]) if machine.is_node else ""
        own = "boot the distribution's own kernel, not a cut-down one"
        troubles.append(machine.hinders(what, f"{install}; or {own}" if install else own))
    said = (f"{', '.join(names)} {state}" for state, names in sorted(by_state.items()))
    return unless("; ".join(said), troubles)


def programs(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether a node has what is called there and the bundle does not bring."""
    if not machine.is_node:
        return []
    if lacking := machine.known("lacking", list[str]):
        has = machine.system.distribution
        fix = has.install(lacking) or f"install what brings them in {has.name}"
        return [machine.hinders(f"lacks {', '.join(lacking)}", fix)]
    return [ok("all that a node calls")]


def selinux(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether SELinux, where it enforces, knows what files of containers are."""
    if not machine.is_node:
        return []
    has = machine.known("selinux", SELinux)
    if not has.enforces:
        return [ok("does not enforce")]
    if has.knows_containers:
        return [ok("enforces, and has rules for containers")]
    permissive = (
        "setenforce 0 && sed -i s/^SELINUX=enforcing/SELINUX=permissive/ /etc/selinux/config"
    )
    install = machine.system.distribution.install([SELINUX])
    fix = f"{install}; or have it only warn: {permissive}" if install else permissive
    return [machine.hinders("enforces, and has no rules for containers", fix)]


def control_groups(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Whether the kubelet, or the engine that has it in a container, can work with them."""
    if not machine.has_pods:
        return []
    has = machine.known("control_groups", ControlGroups)
    newer = "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line"
    if has.version == 0:
        return [fail("none are mounted, so nothing can run in a container", f"mount them: {newer}")]
    troubles = []
    if machine.is_node and has.version == 1:
        what = "version 1, which the kubelet is told to take, but Kubernetes is giving up"
        troubles.append(warn(what, newer))
    if lacking := [each for each in CONTROLLERS[has.version] if each not in has.controllers]:
        what = f"version {has.version} lacks {', '.join(lacking)}"
        fix = "take cgroup_disable=... off the kernel's command line"
        if "memory" in lacking:
            fix += "; on a Raspberry Pi put cgroup_enable=memory cgroup_memory=1 on it"
        troubles.append(fail(what, f"{fix}; then reboot"))
    # An engine that systemd has started has its own view of them.
    if not has.writable and not machine.system.systemd and machine.system.user == 0:
        what = f"version {has.version}, mounted read-only: an engine started here cannot use them"
        troubles.append(fail(what, "mount -o remount,bind,rw /sys/fs/cgroup, or take a machine"))
    return unless(f"version {has.version}", troubles)


def python(machine: Machine, cluster: Cluster) -> Iterable[Result]:
    """Which it is; where it is too old, modules do not run and nothing else is known."""
    return [ok(machine.system.python)]


CHECKS = (system, processor, kernel, modules, programs, control_groups, selinux, python)

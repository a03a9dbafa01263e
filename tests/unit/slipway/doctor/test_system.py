"""Distributions, processors, kernels and control groups that will do, and that will not."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.doctor import system
from slipway.doctor.machine import Use
from tests.support.machines import Check, cluster, machine, told

NODE, HOST, CONTROL = Use.WORKER, Use.HOST, Use.CONTROL_NODE


@pytest.mark.parametrize("use", [*Use])
def test_a_sound_machine_has_nothing_against_it(use: Use) -> None:
    for check in system.CHECKS:
        assert {state for state, _ in told(check(machine(use), cluster()))} <= {"ok"}


@pytest.mark.parametrize(
    ("use", "about", "state", "words"),
    [
        (HOST, {"id": "fedora", "version": "42", "name": "Fedora"}, "ok", "Fedora"),
        (NODE, {"id": "fedora", "version": "42", "name": "Fedora"}, "warn", "Debian 12 and 13"),
        (NODE, {"version": "11"}, "warn", "Debian 12 and 13"),
        (NODE, {"version": "12"}, "ok", "Debian"),
        (NODE, {"version": ""}, "ok", "Debian"),
        (NODE, {"id": "", "name": "", "version": ""}, "warn", "Linux"),
        (NODE, {"systemd": False}, "fail", "systemd"),
        (HOST, {"systemd": False}, "ok", "Debian"),
        (HOST, {"wsl": True}, "warn", "WSL"),
    ],
)
def test_systems_are_told_from_one_another(
    use: Use, about: dict[str, Any], state: str, words: str
) -> None:
    ((found_state, found),) = told(system.system(machine(use, system=about), cluster()))
    assert found_state == state
    assert words in found


def test_another_init_and_another_processor_are_told() -> None:
    alpine = {"id": "alpine", "name": "Alpine Linux v3.20", "systemd": False}
    found = machine(NODE, system={**alpine, "processor": "s390x"})
    assert told(system.system(found, cluster()))[0] == (
        "fail",
        "Alpine Linux v3.20 does not run systemd, which starts what a node needs",
    )
    assert told(system.processor(found, cluster()))[0][0] == "fail"


def test_those_whose_machine_is_in_windows_are_shown_the_way() -> None:
    (result,) = system.system(machine(system={"wsl": True}), cluster())
    assert "docs/linux-vm.md" in result.fix


@pytest.mark.parametrize(
    ("use", "about", "state", "words"),
    [
        (HOST, {}, "ok", "x86_64"),
        (HOST, {"processor": "aarch64"}, "warn", "not been tried"),
        (HOST, {"processor": "i686", "bits": 32}, "fail", "i686 with 32 bits"),
        (HOST, {"bits": 32}, "fail", "x86_64 with 32 bits"),
        (HOST, {"processor": "riscv64"}, "fail", "riscv64"),
        (NODE, {"processor": "aarch64"}, "warn", "a bundle is made"),
        (NODE, {"processor": "ppc64le"}, "fail", "ppc64le"),
    ],
)
def test_a_processor_has_to_be_one_that_there_is_a_bundle_for(
    use: Use, about: dict[str, Any], state: str, words: str
) -> None:
    ((found_state, found),) = told(system.processor(machine(use, system=about), cluster()))
    assert found_state == state
    assert words in found


@pytest.mark.parametrize(
    ("use", "release", "expected"),
    [
        (NODE, "5.10.0-28-amd64", ["ok"]),
        (NODE, "5.14.21-150500.55.52-default", ["ok"]),
        (NODE, "6.12.1-arch1-1", ["ok"]),
        (NODE, "10.0.0", ["ok"]),
        (NODE, "5.9.16", ["fail"]),
        (NODE, "4.18.0-553.el8_10.x86_64", ["fail"]),
        (NODE, "", ["fail"]),
        (HOST, "5.10.0-32-amd64", ["ok"]),
        (HOST, "4.19.0-27-amd64", ["fail"]),
        (HOST, "10.0.1", ["ok"]),
        (CONTROL, "4.19.0-27-amd64", []),
    ],
)
def test_a_kernel_has_to_be_new_enough_where_pods_run(
    use: Use, release: str, expected: list[str]
) -> None:
    results = system.kernel(machine(use, system={"kernel": release}), cluster())
    assert [state for state, _ in told(results)] == expected


@pytest.mark.parametrize(
    ("use", "found", "expected"),
    [
        (NODE, {"veth": "unknown"}, [("ok", "veth unknown")]),
        (NODE, {"veth": "absent"}, [("fail", "no veth, nor may it be loaded")]),
        (NODE, {"veth": "lost", "overlay": "lost"}, [("fail", "overlay, veth: the running")]),
        (NODE, {"br_netfilter": "absent"}, [("fail", "no br_netfilter")]),
        (HOST, {"br_netfilter": "absent"}, [("warn", "no br_netfilter")]),
        (
            HOST,
            {"br_netfilter": "absent", "bridge": "absent"},
            [("warn", "no br_netfilter"), ("fail", "no bridge, nor")],
        ),
        (CONTROL, {"veth": "absent"}, []),
    ],
)
def test_the_kernel_has_to_have_what_pods_are_made_of(
    use: Use, found: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    results = told(system.modules(machine(use, modules=found), cluster()))
    assert [state for state, _ in results] == [state for state, _ in expected]
    for (_, said), (_, words) in zip(results, expected, strict=True):
        assert words in said


@pytest.mark.parametrize(
    ("about", "mend"),
    [
        ({"id": "rhel"}, 'dnf install -y "kernel-modules-extra-$(uname -r)"; or boot'),
        ({"id": "ubuntu"}, 'apt-get install -y "linux-modules-extra-$(uname -r)"; or boot'),
        ({"id": "mint", "like": ["ubuntu", "debian"]}, "apt-get install -y "),
        ({"id": "debian"}, "boot the distribution's own kernel"),
        ({"id": "arch"}, "boot the distribution's own kernel"),
    ],
)
def test_modules_that_a_kernel_lacks_are_in_a_package_of_some_distributions(
    about: dict[str, Any], mend: str
) -> None:
    found = machine(NODE, modules={"br_netfilter": "absent"}, system=about)
    (result,) = system.modules(found, cluster())
    assert result.found.startswith("the kernel has no br_netfilter")
    assert result.fix.startswith(mend)


def test_programs_that_a_node_lacks_are_told_with_its_distribution_s_own_command() -> None:
    rocky = {"id": "rocky", "like": ["rhel", "centos", "fedora"]}
    (result,) = system.programs(machine(NODE, lacking=["ip", "losetup"], system=rocky), cluster())
    assert str(result.state) == "fail"
    assert (result.found, result.fix) == (
        "lacks ip, losetup",
        "dnf install -y iproute util-linux",
    )
    void = {"id": "void", "name": "Void Linux"}
    (result,) = system.programs(machine(NODE, lacking=["ip"], system=void), cluster())
    assert (result.found, result.fix) == ("lacks ip", "install what brings them in Void Linux")
    assert [*system.programs(machine(HOST, lacking=["ip"]), cluster())] == []


@pytest.mark.parametrize(
    ("enforces", "knows", "state"),
    [(True, False, "fail"), (True, True, "ok"), (False, False, "ok"), (False, True, "ok")],
)
def test_selinux_needs_rules_for_containers_where_it_enforces(
    enforces: bool, knows: bool, state: str
) -> None:
    has = {"enforces": enforces, "knows_containers": knows}
    found = machine(NODE, selinux=has, system={"id": "fedora"})
    (result,) = system.selinux(found, cluster())
    assert str(result.state) == state
    if state == "fail":
        mend = "dnf install -y container-selinux; or have it only warn: setenforce 0 && sed -i "
        assert result.fix.startswith(mend)
    assert [*system.selinux(machine(HOST, selinux=has), cluster())] == []


def test_where_there_is_no_package_of_such_rules_selinux_may_only_warn() -> None:
    has = {"enforces": True, "knows_containers": False}
    (result,) = system.selinux(machine(NODE, selinux=has, system={"id": "arch"}), cluster())
    assert result.fix.startswith("setenforce 0 && sed -i ")


def test_a_kernel_without_its_modules_was_upgraded() -> None:
    (result,) = system.modules(machine(NODE, modules={"veth": "lost"}), cluster())
    assert "reboot" in result.fix


V1 = {"version": 1, "controllers": [*system.CONTROLLERS[1]]}


@pytest.mark.parametrize(
    ("use", "groups", "state", "words"),
    [
        (HOST, V1, "ok", "version 1"),
        (NODE, V1, "warn", "Kubernetes is giving up"),
        (HOST, {"version": 0, "controllers": []}, "fail", "none are mounted"),
        (NODE, {"controllers": ["cpu", "cpuset", "pids"]}, "fail", "lacks memory"),
        (HOST, V1 | {"controllers": ["cpu"]}, "fail", "lacks cpuacct, cpuset"),
    ],
)
def test_control_groups_have_to_be_those_that_the_kubelet_starts_with(
    use: Use, groups: dict[str, Any], state: str, words: str
) -> None:
    results = system.control_groups(machine(use, control_groups=groups), cluster())
    ((found_state, found),) = told(results)
    assert found_state == state
    assert words in found


@pytest.mark.parametrize(("lacking", "expected"), [("memory", True), ("pids", False)])
def test_a_raspberry_pi_is_told_how_it_gets_its_controller(lacking: str, expected: bool) -> None:
    there = [each for each in system.CONTROLLERS[2] if each != lacking]
    (result,) = system.control_groups(
        machine(NODE, control_groups={"controllers": there}), cluster()
    )
    assert ("cgroup_memory=1" in result.fix) is expected


@pytest.mark.parametrize(
    ("about", "state"),
    [({"systemd": False}, "fail"), ({}, "ok"), ({"systemd": False, "user": 1000}, "ok")],
)
def test_control_groups_have_to_be_writable_for_an_engine_that_is_started_here(
    about: dict[str, Any], state: str
) -> None:
    found = machine(HOST, control_groups={"writable": False}, system=about)
    assert told(system.control_groups(found, cluster()))[0][0] == state


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        (system.kernel, {"system": {"kernel": "4.18.0"}}),
        (system.modules, {"modules": {"veth": "absent"}}),
        (system.modules, {"modules": {"veth": "lost"}}),
        (system.programs, {"lacking": ["ip"]}),
        (system.selinux, {"selinux": {"enforces": True}}),
    ],
)
def test_a_node_of_a_cluster_is_not_stopped_for_what_it_works_with(
    check: Check, changes: dict[str, Any]
) -> None:
    for made, state in ((False, "fail"), (True, "warn")):
        results = check(machine(NODE, made=made, **changes), cluster())
        assert [each for each, _ in told(results)] == [state]

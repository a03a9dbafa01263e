"""Cores, memory and limits that are really so few."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.doctor import resources
from slipway.doctor.machine import Use
from tests.support.machines import cluster, told
from tests.support.made import bounded, seen

HOST, NODE = Use.HOST, Use.WORKER


def test_one_core_is_not_enough_for_a_control_plane() -> None:
    machine = seen(under=["taskset", "--cpu-list", "0"])
    assert told(resources.cores(machine, cluster())) == [("fail", "1; kubeadm needs 2")]


def test_a_share_of_a_core_is_slow() -> None:
    with bounded("cpu", cpu_cfs_quota_us="150000", cpu_max="150000 100000") as join:
        machine = seen(join)
    ((state, found),) = told(resources.cores(machine, cluster()))
    assert state == "warn"
    assert "of which 1.5 may be used" in found


def test_a_control_group_with_little_memory_is_too_small_for_a_control_plane() -> None:
    little = str(1 << 30)
    with bounded("memory", memory_limit_in_bytes=little, memory_max=little) as join:
        machine = seen(join)
    ((state, found),) = told(resources.memory(machine, cluster()))
    assert state == "fail"
    assert found.startswith("1.0 GiB, the bound of this control group")


@pytest.mark.parametrize(("most", "state"), [(300, "fail"), (1000, "warn")])
def test_few_processes_are_not_enough(most: int, state: str) -> None:
    with bounded("pids", pids_max=str(most)) as join:
        machine = seen(join)
    assert told(resources.limits(machine, cluster()))[-1] == (
        state,
        f"{most} processes at most; 2048 are enough",
    )


@pytest.mark.parametrize(("most", "state"), [(512, "fail"), (2000, "warn")])
def test_few_files_are_not_enough(most: int, state: str) -> None:
    machine = seen(f"ulimit -n {most}")
    assert told(resources.limits(machine, cluster()))[0] == (
        state,
        f"{most} files at most; 4096 are enough",
    )


@pytest.mark.parametrize(("most", "state"), [(8, "fail"), (100, "warn")])
def test_a_user_who_may_watch_little_cannot_boot_a_node(most: int, state: str) -> None:
    few = f"echo {most} > /proc/sys/user/max_inotify_instances"
    machine = seen(few, within=["--user", "--map-root-user"])
    ((found_state, found),) = told(resources.inotify(machine, cluster()))
    assert found_state == state
    assert found.startswith(f"{most} instances")


def test_swap_makes_a_node_slow(tmp_path: Path) -> None:
    about = tmp_path / "meminfo"
    about.write_text("MemTotal: 8388608 kB\nSwapTotal: 1048576 kB\n")
    machine = seen(f"mount --bind {about} /proc/meminfo", NODE)
    ((state, found),) = told(resources.swap(machine, cluster()))
    assert state == "warn"
    assert found.startswith("1.0 GiB")

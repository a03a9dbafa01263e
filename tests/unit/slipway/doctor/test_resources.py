"""Cores, memory and limits that are enough, and that are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway.doctor import resources
from slipway.doctor.machine import Use
from tests.support.machines import GIB, cluster, machine, told

NODE, HOST, CONTROL, PLANE = Use.WORKER, Use.HOST, Use.CONTROL_NODE, Use.CONTROL_PLANE


@pytest.mark.parametrize("use", [*Use])
def test_a_sound_machine_has_nothing_against_it(use: Use) -> None:
    for check in resources.CHECKS:
        assert {state for state, _ in told(check(machine(use), cluster()))} <= {"ok"}


@pytest.mark.parametrize(
    ("check", "use", "changes", "state", "words"),
    [
        (resources.cores, HOST, {"cores": 1}, "fail", "1; kubeadm needs 2"),
        (resources.cores, PLANE, {"cores": 1}, "fail", "1; kubeadm needs 2"),
        (resources.cores, NODE, {"cores": 1}, "ok", "1"),
        (resources.cores, CONTROL, {"cores": 1}, "warn", "takes long"),
        (resources.cores, HOST, {"cores": 2}, "ok", "2"),
        (
            resources.cores,
            HOST,
            {"bounds": {"processor": 0.5}},
            "warn",
            "4, of which 0.5 may be used",
        ),
        (resources.memory, HOST, {"memory": {"total": GIB}}, "fail", "a control plane needs"),
        (resources.memory, PLANE, {"memory": {"total": GIB}}, "fail", "a control plane needs"),
        (resources.memory, NODE, {"memory": {"total": GIB}}, "warn", "1.0 GiB, of 2.0 GiB"),
        (resources.memory, HOST, {"memory": {"total": 6 * GIB}}, "warn", "of 8.0 GiB"),
        # What the kernel keeps for itself is not counted as memory.
        (resources.memory, HOST, {"memory": {"total": int(7.7 * GIB)}}, "ok", "7.7 GiB"),
        (resources.memory, CONTROL, {"memory": {"total": 4 * GIB}}, "ok", "4.0 GiB"),
        (resources.memory, HOST, {"bounds": {"memory": 1 * GIB}}, "fail", "this control group"),
        (resources.swap, NODE, {"memory": {"swap": GIB}}, "warn", "1.0 GiB"),
        (resources.swap, HOST, {"memory": {"swap": GIB}}, "ok", "1.0 GiB"),
        (resources.limits, HOST, {"bounds": {"files": 512}}, "fail", "512 files"),
        (resources.limits, HOST, {"bounds": {"files": 2048}}, "warn", "2048 files"),
        (resources.limits, HOST, {"bounds": {"processes": 300}}, "fail", "300 processes"),
        (resources.limits, CONTROL, {"bounds": {"processes": 1000}}, "warn", "1000 processes"),
        (resources.inotify, HOST, {"inotify": {"instances": 8}}, "fail", "8 instances"),
        (resources.inotify, NODE, {"inotify": {"instances": 64}}, "warn", "64 instances"),
        (resources.inotify, NODE, {"inotify": {"instances": 128}}, "ok", "128 instances"),
        (resources.inotify, HOST, {"inotify": {"watches": 500}}, "fail", "500 watches"),
    ],
)
def test_what_there_is_is_measured_by_what_it_takes(
    check: Callable[..., Any], use: Use, changes: dict[str, Any], state: str, words: str
) -> None:
    ((found_state, found),) = told(check(machine(use, **changes), cluster()))
    assert found_state == state
    assert words in found


def test_a_cluster_of_one_node_takes_less_memory() -> None:
    one = cluster()
    inventory = one.inventory
    few = machine(HOST, memory={"total": 6 * GIB})
    single = {name: inventory.nodes[name] for name in inventory.control_plane}
    smaller = cluster(inventory=type(inventory)(**{**vars(inventory), "nodes": single}))
    assert [told(resources.memory(few, each))[0][0] for each in (one, smaller)] == ["warn", "ok"]


def test_memory_without_a_bound_is_told_alone() -> None:
    assert told(resources.memory(machine(HOST), cluster())) == [("ok", "16.0 GiB")]


def test_the_smaller_of_memory_and_its_bound_counts() -> None:
    found = machine(HOST, bounds={"memory": 2 * GIB})
    (result,) = resources.memory(found, cluster())
    assert "control group" in result.fix


def test_limits_of_a_node_are_those_of_systemd() -> None:
    assert not resources.limits(machine(NODE, bounds={"files": 512}), cluster())

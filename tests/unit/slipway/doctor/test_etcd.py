"""What etcd says of itself, and how long a disk takes, as facts."""

from __future__ import annotations

import pytest

from slipway.doctor.etcd import etcd, etcd_disk
from slipway.doctor.machine import Use
from tests.support.machines import cluster, machine, told

PLANE = Use.CONTROL_PLANE


@pytest.mark.parametrize(
    ("health", "state", "words"),
    [
        ('{"health":"true","reason":""}', "ok", "has a quorum"),
        ('{"health": "true"}', "ok", "has a quorum"),
        ('{"health":"false","reason":"RAFT NO LEADER"}', "warn", "RAFT NO LEADER"),
        ("", "warn", "does not answer"),
    ],
)
def test_it_is_judged_by_what_it_says(health: str, state: str, words: str) -> None:
    ((seen, found),) = told(etcd(machine(PLANE, etcd={"there": True, "health": health}), cluster()))
    assert (seen, words in found) == (state, True)


def test_only_a_control_plane_has_one() -> None:
    assert told(etcd(machine(PLANE), cluster())) == []
    assert told(etcd(machine(Use.WORKER, etcd={"there": True, "health": ""}), cluster())) == []
    assert told(etcd_disk(machine(Use.WORKER, sync=[]), cluster())) == []


@pytest.mark.parametrize(("seconds", "state"), [(0.004, "ok"), (0.1, "warn")])
def test_a_disk_is_judged_by_what_etcd_waits_for(seconds: float, state: str) -> None:
    tried = machine(PLANE)
    tried = type(tried)(tried.name, PLANE, {**tried.facts, "sync": seconds}, {})
    ((seen, found),) = told(etcd_disk(tried, cluster()))
    assert seen == state
    assert f"{seconds * 1000:.0f} ms" in found


def test_a_disk_on_which_etcd_runs_is_not_tried() -> None:
    assert told(etcd_disk(machine(PLANE, made=True), cluster())) == []

"""What a machine is for, and what was read of it."""

from __future__ import annotations

import pytest

from slipway.doctor.findings import State, Unknown
from slipway.doctor.machine import Machine, Memory, Use, numbers, size
from tests.support.machines import machine


def test_a_fact_has_a_type_and_one_that_was_not_read_a_reason() -> None:
    assert machine().known("memory", Memory) == Memory(total=16 << 30, swap=0)
    unread = Machine("a", Use.WORKER, {}, {"memory": "/proc is not mounted"})
    with pytest.raises(Unknown, match="/proc is not mounted"):
        unread.known("memory", Memory)
    with pytest.raises(Unknown, match="routes"):
        assert unread.routes


def test_what_keeps_a_machine_from_becoming_a_node_is_a_warning_of_one_that_is() -> None:
    assert machine(Use.WORKER).hinders("a", "b").state is State.FAIL
    assert machine(Use.WORKER, made=True).hinders("a", "b").state is State.WARN


@pytest.mark.parametrize(
    ("use", "is_node", "has_pods", "has_control_plane"),
    [
        (Use.CONTROL_NODE, False, False, False),
        (Use.HOST, False, True, True),
        (Use.CONTROL_PLANE, True, True, True),
        (Use.WORKER, True, True, False),
    ],
)
def test_a_use_says_what_runs_there(
    use: Use, is_node: bool, has_pods: bool, has_control_plane: bool
) -> None:
    found = machine(use)
    assert (found.is_node, found.has_pods, found.has_control_plane) == (
        is_node,
        has_pods,
        has_control_plane,
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("6.1.0-13-amd64", (6, 1, 0, 13)),
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("5.13-rc1", (5, 13)),
        ("", ()),
        ("trixie/sid", ()),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, expected: tuple[int, ...]) -> None:
    assert numbers(version) == expected


@pytest.mark.parametrize(
    ("number", "expected"), [(512, "512 B"), (1700 << 20, "1.7 GiB"), (3 << 20, "3 MiB")]
)
def test_sizes_are_shown_as_people_read_them(number: int, expected: str) -> None:
    assert size(number) == expected

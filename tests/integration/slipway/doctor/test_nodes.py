"""Machines that are copies of one another, as they see themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from slipway.doctor import nodes
from tests.support.machines import told
from tests.support.made import seen


def machine(name: str, machine_id: str) -> Mapping[str, Any]:
    """A machine that has a name and an id."""
    prepare = (
        "mount -t tmpfs none /mnt\n"
        f"echo {machine_id} >/mnt/id\n"
        "[ -e /etc/machine-id ] || touch /etc/machine-id\n"
        "mount --bind /mnt/id /etc/machine-id\n"
        f"echo {name} >/proc/sys/kernel/hostname"
    )
    found = seen(prepare, within=("--mount", "--net", "--uts"))
    return {"facts": found.facts, "state": "bare"}


@pytest.mark.parametrize(
    ("name", "machine_id", "expected"),
    [
        ("two", "b" * 32, []),
        ("two", "a" * 32, [("fail", f"a, b have the same machine-id, {'a' * 32}")]),
        ("one", "b" * 32, [("warn", "a, b have the same name, one")]),
    ],
)
def test_two_machines_with_one_identity_are_told(
    name: str, machine_id: str, expected: list[tuple[str, str]]
) -> None:
    machines = {"a": machine("one", "a" * 32), "b": machine(name, machine_id)}
    assert told(nodes.identities(machines)) == expected

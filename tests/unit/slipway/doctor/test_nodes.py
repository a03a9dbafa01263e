"""Machines that are to be nodes: reached or not, bare or not, with clocks that agree or not."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.doctor import nodes
from slipway.doctor.findings import all_of
from slipway.doctor.machine import Use
from tests.support.machines import MACHINES, SOUND

SEEN: dict[str, Any] = {
    "facts": SOUND,
    "unknown": {},
    "state": "bare",
    "refusals": [],
    "skew": 0.0,
}


def told(**changes: Any) -> list[tuple[str, str, str]]:
    """Check, state and what was found of a machine that was seen so."""
    findings = all_of("worker", nodes.checks(SEEN | changes))
    return [(each.check, str(each.state), each.found) for each in findings]


def test_a_bare_machine_and_a_node_will_do() -> None:
    clock = ("clock", "ok", "agrees with this machine's")
    assert told() == [("node", "ok", "bare"), clock]
    assert told(state="member") == [("node", "ok", "a node of this cluster"), clock]


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"failure": "Connection refused"}, "Connection refused"),
        ({"failed": True, "msg": "KeyError: 'clock'"}, "KeyError: 'clock'"),
        ({"skipped": True}, "it was left out"),
    ],
)
def test_a_machine_that_was_not_looked_at_is_told_with_the_reason_alone(
    seen: dict[str, Any], why: str
) -> None:
    findings = all_of("worker", nodes.checks(seen))
    assert [(each.check, str(each.state), each.found) for each in findings] == [
        ("reached", "fail", f"cannot be looked at: {why}")
    ]


def test_what_stands_in_the_way_is_told_with_what_was_found_and_its_mend() -> None:
    refusals = [
        {"what": "is not bare", "found": ["port 6443 is in use"], "fix": "kubeadm reset"},
        {"what": "lacks nft", "found": [], "fix": "apt-get install nftables"},
    ]
    found = all_of("worker", nodes.checks(SEEN | {"refusals": refusals, "state": ""}))
    assert [(str(each.state), each.found, each.fix) for each in found[:2]] == [
        ("fail", "is not bare\nport 6443 is in use", "kubeadm reset"),
        ("fail", "lacks nft", "apt-get install nftables"),
    ]


@pytest.mark.parametrize(
    ("skew", "state", "words"),
    [
        (3.0, "ok", "agrees"),
        (-20.0, "warn", "20 s behind"),
        (299.0, "warn", "299 s ahead of"),
        (-301.0, "fail", "301 s behind"),
    ],
)
def test_clocks_have_to_agree_as_far_as_certificates_need_it(
    skew: float, state: str, words: str
) -> None:
    _, (check, found_state, found) = told(skew=skew)
    assert (check, found_state) == ("clock", state)
    assert words in found


@pytest.mark.parametrize(
    ("name", "state", "use", "made"),
    [
        ("control", "bare", Use.CONTROL_PLANE, False),
        ("worker", "begun", Use.WORKER, False),
        ("worker", "member", Use.WORKER, True),
    ],
)
def test_a_machine_is_what_the_inventory_says_and_made_when_it_is_that_already(
    name: str, state: str, use: Use, made: bool
) -> None:
    found = nodes.machine(name, SEEN | {"state": state}, MACHINES)
    assert (found.name, found.use, found.made) == (name, use, made)

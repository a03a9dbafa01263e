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
    "host_key": {},
}
SHELL = {"interpreters": ["/usr/bin/python3"], "user": "0", "python": "3.11", "release": []}


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
        ({"failure": "Incorrect sudo password"}, "looked at: Incorrect sudo password"),
        ({"failure": "refused\n", "reached": False}, "reached: refused"),
        ({"failure": "it ended there", "shell": SHELL}, "looked at: it ended there"),
        ({"failed": True, "msg": "KeyError: 'clock'"}, "looked at: KeyError: 'clock'"),
        ({"skipped": True}, "looked at: it was left out"),
    ],
)
def test_a_machine_that_was_not_looked_at_is_told_with_the_reason_alone(
    seen: dict[str, Any], why: str
) -> None:
    findings = all_of("worker", nodes.checks(seen))
    assert [(each.check, str(each.state), each.found) for each in findings] == [
        ("reached", "fail", f"cannot be {why}")
    ]


def test_of_a_machine_that_is_not_reached_the_mend_is_in_the_inventory() -> None:
    seen = {"failure": "Permission denied (publickey).", "reached": False}
    (finding,) = all_of("worker", nodes.checks(seen))
    assert "ansible_host" in finding.fix


def test_a_machine_on_which_no_module_runs_is_told_with_what_keeps_them_from_it() -> None:
    seen = {"failure": "", "shell": SHELL | {"user": "1000", "python": "3.6"}}
    assert [(each.check, each.found) for each in all_of("worker", nodes.checks(seen))] == [
        ("reached", "commands do not run as root there"),
        ("reached", "/usr/bin/python3 is Python 3.6, and Ansible needs 3.8 or newer"),
    ]


KEY = {
    "owner": "worker",
    "name": "192.0.2.21",
    "fingerprint": "256 SHA256:x",
    "line": "192.0.2.21 k",
    "file": "/known_hosts",
    "known": "",
    "known_in": "",
}


def test_host_keys_that_nobody_knows_are_one_failure_of_all_machines() -> None:
    other = KEY | {"owner": "control", "fingerprint": "256 SHA256:y"}
    changed = KEY | {"owner": "third", "known": "RSA SHA256:old", "known_in": "/known_hosts"}
    machines = [{"host_key": each, "reached": False} for each in (KEY, other, changed)]
    check = {"host keys": lambda: nodes.host_keys([*machines, SEEN, {"skipped": True}])}
    new, old = all_of("localhost", check)
    assert (new.state, new.where) == ("fail", "SSH")
    assert new.found.splitlines()[1:] == [
        "    worker: 256 SHA256:x",
        "    control: 256 SHA256:y",
    ]
    assert "printf" in new.fix
    assert (old.state, old.where) == ("fail", "third")
    assert all_of("worker", nodes.checks(machines[0])) == []


def test_where_every_host_is_known_nothing_is_told_of_keys() -> None:
    assert all_of("localhost", {"host keys": lambda: nodes.host_keys([SEEN])}) == []


def test_what_stands_in_the_way_is_told_with_what_was_found_and_its_mend() -> None:
    refusals = [
        {"what": "is not bare", "found": ["port 6443 is in use"], "fix": "kubeadm reset"},
        {"what": "has no name server", "found": [], "fix": "write one"},
    ]
    found = all_of("worker", nodes.checks(SEEN | {"refusals": refusals, "state": ""}))
    assert [(str(each.state), each.found, each.fix) for each in found[:2]] == [
        ("fail", "is not bare\nport 6443 is in use", "kubeadm reset"),
        ("fail", "has no name server", "write one"),
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


def identified(**changes: Any) -> dict[str, Any]:
    """What was seen of a machine with this identity."""
    facts = {**SOUND, "identity": {"hostname": "one", "machine_id": "a", **changes}}
    return {**SEEN, "facts": facts}


def test_nodes_that_are_copies_are_told_and_those_that_serve_already_bear_it() -> None:
    machines = {"a": identified(), "b": identified(hostname="two"), "c": {"reached": False}}
    (result,) = nodes.identities(machines)
    assert (str(result.state), result.found) == ("fail", "a, b have the same machine-id, a")
    made = {name: {**each, "state": "member"} for name, each in machines.items()}
    (result,) = nodes.identities(made)
    assert str(result.state) == "warn"


def test_nodes_without_an_id_are_not_taken_for_one() -> None:
    machines = {"a": identified(machine_id=""), "b": identified(machine_id="", hostname="two")}
    assert [*nodes.identities(machines)] == []

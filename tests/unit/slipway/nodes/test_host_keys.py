"""What is said of host keys; that ssh says them is for the integration tests."""

from __future__ import annotations

from dataclasses import replace

from slipway.nodes.host_keys import HostKey, problems

NEW = HostKey(
    owner="two",
    name="192.0.2.21",
    fingerprint="256 SHA256:new 192.0.2.21 (ED25519)",
    line="192.0.2.21 ssh-ed25519 AAAA",
    file="/home/ops/.ssh/known_hosts",
)
CHANGED = replace(
    NEW,
    known="192.0.2.21 RSA SHA256:old (/etc/ssh/ssh_known_hosts, line 3)",
    known_in="/etc/ssh/ssh_known_hosts",
)


def test_all_keys_that_are_new_are_one_problem_with_one_command() -> None:
    three = replace(NEW, owner="three", name="three", fingerprint="256 SHA256:x", line="three k")
    (problem,) = problems([NEW, three])
    assert str(problem).splitlines()[1:3] == [
        "    two: 256 SHA256:new 192.0.2.21 (ED25519)",
        "    three: 256 SHA256:x",
    ]
    assert problem.fix.splitlines()[1:] == [
        "    printf '%s\\n' >>/home/ops/.ssh/known_hosts \\",
        "      '192.0.2.21 ssh-ed25519 AAAA' \\",
        "      'three k'",
    ]


def test_a_host_on_the_way_to_several_is_made_known_once() -> None:
    ways = [replace(NEW, owner=f"a host on the way to {name}") for name in ("two", "three")]
    (problem,) = problems(ways)
    assert problem.fix.count("ssh-ed25519 AAAA") == 1


def test_every_file_of_known_keys_has_its_own_command() -> None:
    (problem,) = problems([NEW, replace(NEW, file="/of two/known_hosts")])
    assert problem.fix.count("    printf ") == 2
    assert ">>'/of two/known_hosts' \\\n" in problem.fix


def test_a_key_that_could_not_be_asked_for_is_not_made_known() -> None:
    (problem,) = problems([NEW, replace(NEW, line="", fingerprint="it cannot be asked for")])
    assert problem.fix.splitlines()[2:] == ["      '192.0.2.21 ssh-ed25519 AAAA'"]
    (problem,) = problems([replace(NEW, line="", fingerprint="it cannot be asked for")])
    assert "printf" not in problem.fix


def test_a_key_that_changed_is_told_apart_from_those_that_are_new() -> None:
    new, changed = problems([CHANGED, replace(NEW, owner="three")])
    assert new.where == "SSH"
    assert "two" not in new.what
    assert changed.where == "two"
    assert changed.what.splitlines()[1:] == [
        "    known: 192.0.2.21 RSA SHA256:old (/etc/ssh/ssh_known_hosts, line 3)",
        "    now:   256 SHA256:new 192.0.2.21 (ED25519)",
    ]
    assert changed.fix.splitlines()[1] == (
        "    ssh-keygen -f /etc/ssh/ssh_known_hosts -R 192.0.2.21"
    )


def test_without_keys_there_is_no_problem() -> None:
    assert [*problems([])] == []

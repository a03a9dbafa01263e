"""What a machine's shell says of whether modules run there."""

from __future__ import annotations

import pytest

from slipway.doctor.reached import Shell, hindrances, read, script
from slipway.nodes.containerd import Answer
from tests.support.machines import told

PYTHON = ["/usr/bin/python3"]


def asked(interpreters: list[str] = PYTHON, **said: str) -> Shell:
    """What is read of a machine that will do, but for what it says."""
    parts = {"user": "0", "python": "3.9", "release": "ID=debian", **said}
    out = "".join(f"=== {title}\n{text}\n" for title, text in parts.items())
    return read(interpreters, Answer(0, f"Welcome\n{out}", ""))


def only(shell: Shell) -> tuple[str, str]:
    """The one thing that is wrong, and its mend."""
    (one,) = hindrances(shell)
    return one.found, one.fix


def test_a_machine_with_root_and_a_python_runs_modules() -> None:
    assert asked().runs_modules
    assert [*hindrances(asked())] == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(1, "", "sudo: a password is required\n"), "    | sudo: a password is required"),
        (Answer(127, "", "/bin/sh: 1: sudo: not found"), "    | /bin/sh: 1: sudo: not found"),
        (
            Answer(1, "ops is not in the sudoers file.\n", ""),
            "    | ops is not in the sudoers file.",
        ),
        (Answer(1, "", ""), "    | nothing"),
    ],
)
def test_a_machine_without_sudo_is_told_in_sudo_s_words(answer: Answer, words: str) -> None:
    shell = read(PYTHON, answer)
    found, fix = only(shell)
    assert found == f"cannot be asked anything as root; it said\n{words}"
    assert "sudo without a password" in fix
    assert not shell.runs_modules


def test_a_user_who_is_not_root_is_told() -> None:
    found, fix = only(asked(user="1000"))
    assert found == "commands do not run as root there"
    assert "ansible_become: true" in fix
    assert not asked(user="1000").runs_modules


@pytest.mark.parametrize(
    ("python", "release", "found", "fix"),
    [
        ("", "ID=debian", "has no Python at /usr/bin/python3", "apt-get install -y python3; or"),
        ("", "ID=arch", "has no Python at /usr/bin/python3", "pacman -S --noconfirm python; or"),
        ("", "ID=other", "has no Python at", "install Python 3.8 or newer; or name"),
        ("3.6", "ID=sles", "/usr/bin/python3 is Python 3.6", "zypper --non-interactive install py"),
        ("3.7", "ID=debian", "/usr/bin/python3 is Python 3.7", "install a newer one, and name"),
        ("2.7", "ID=rhel", "/usr/bin/python3 is Python 2.7", "dnf install -y python3.11, and name"),
    ],
)
def test_a_python_that_ansible_cannot_use_is_told_with_the_mend(
    python: str, release: str, found: str, fix: str
) -> None:
    shell = asked(python=python, release=release)
    told_found, told_fix = only(shell)
    assert told_found.startswith(found)
    assert "3.8 or newer" in told_found
    assert told_fix.startswith(fix)
    assert "ansible_python_interpreter" in told_fix
    assert not shell.runs_modules


@pytest.mark.parametrize("python", ["3.8", "3.9", "3.13", "4.0"])
def test_every_newer_python_will_do(python: str) -> None:
    assert asked(python=python).runs_modules


def test_all_that_keeps_modules_from_running_is_told_at_once() -> None:
    assert [state for state, _ in told(hindrances(asked(user="1000", python="")))] == ["fail"] * 2


def test_of_several_pythons_each_is_named_and_the_next_is_tried_where_one_is_not_there() -> None:
    several = ["python3.13", "/usr/bin/python3"]
    found, _ = only(asked(several, python=""))
    assert found.startswith("has no Python at python3.13 or /usr/bin/python3, which")
    assert "python3.13 -c" in script(several).partition(" || ")[0]

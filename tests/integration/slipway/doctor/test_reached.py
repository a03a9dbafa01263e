"""This machine, asked by its shell as one is before anything relies on its Python."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from slipway.doctor.reached import Shell, hindrances, read, script
from slipway.nodes.containerd import Answer

NOWHERE = "/usr/bin/python3.7-of-nobody"


def shell(interpreters: list[str], under: list[str]) -> Shell:
    """What this machine's shell says."""
    asked = script(interpreters)
    done = subprocess.run(
        [*under, "/bin/sh"], input=asked, capture_output=True, text=True, check=False
    )
    return read(interpreters, Answer(done.returncode, done.stdout, done.stderr))


AS_ROOT = ["unshare", "--map-root-user"]


@pytest.mark.parametrize("interpreters", [[sys.executable], [NOWHERE, sys.executable]])
def test_a_python_that_is_there_is_found_with_its_version(interpreters: list[str]) -> None:
    found = shell(interpreters, AS_ROOT)
    assert found.runs_modules
    assert found.python == ".".join(platform.python_version_tuple()[:2])
    assert any(line.startswith("ID=") for line in found.release)
    assert found.said == ""


def test_a_python_that_is_not_there_is_told() -> None:
    found = shell([NOWHERE], AS_ROOT)
    assert not found.runs_modules
    (problem,) = hindrances(found)
    assert f"has no Python at {NOWHERE}" in problem.found


def test_a_user_who_is_not_root_is_told() -> None:
    found = shell(["/usr/bin/python3"], ["setpriv", "--reuid=65534"])
    (problem,) = hindrances(found)
    assert problem.found == "commands do not run as root there"


def test_what_comes_in_place_of_an_answer_is_told() -> None:
    refuse = ["sh", "-c", "echo 'sudo: a password is required' >&2; exit 1"]
    (problem,) = hindrances(shell([sys.executable], refuse))
    assert problem.found.endswith("| sudo: a password is required")

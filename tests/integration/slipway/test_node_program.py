"""What is done on a node is done as Ansible reaches it, and what it is given is shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.playbooks import play

PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Look",
                "node_look": {
                    "cluster": "lab",
                    "endpoint": "https://192.0.2.11:6443",
                    "control_planes": ["192.0.2.11"],
                    "control_plane": False,
                    "version": "1.36.3",
                    "ca": "canary",
                    "resolv_conf": "{{ playbook_dir }}/none",
                },
            }
        ],
    }
]

SUDO = """#!/bin/sh
while [ "$1" != -p ]; do shift; done
printf '%s' "$2" >&2
read -r password
if [ "$password" != right ]; then
    echo "Sorry, try again." >&2
    printf '%s' "$2" >&2
    read -r password
    exit 1
fi
while [ "$1" != /bin/sh ]; do shift; done
echo "Welcome, root"
exec "$@"
"""
"""A sudo that asks for a password, and greets."""


def look(folder: Path, **variables: str) -> tuple[int, str]:
    """How a run ends that looks at a node, and all that it says."""
    (folder / "play.yml").write_text(yaml.safe_dump(PLAY))
    hosts = {"all": {"hosts": {"lab-1": {"ansible_connection": "local", **variables}}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    command = ("-vvvv", "--inventory", "hosts.yml", "play.yml")
    done = play(*command, folder=folder, ANSIBLE_DEBUG="true")
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def sudo(tmp_path: Path) -> dict[str, str]:
    """The variables of a node with that sudo."""
    path = tmp_path / "sudo"
    path.write_text(SUDO)
    path.chmod(0o755)
    return {"ansible_become": "true", "ansible_become_exe": str(path), "ansible_become_user": "x"}


def test_what_a_module_is_given_is_shown_at_no_verbosity(tmp_path: Path) -> None:
    code, said = look(tmp_path)
    assert code == 2
    assert f"found: {tmp_path}/none: is not there" in said
    assert "-I -" in said, "this shows no commands"
    assert "canary" not in said


def test_a_module_is_carried_out_as_the_user_that_the_task_becomes(
    tmp_path: Path, sudo: dict[str, str]
) -> None:
    code, said = look(tmp_path, **sudo, ansible_become_password="right")
    assert code == 2
    assert f"found: {tmp_path}/none: is not there" in said
    assert "canary" not in said


def test_a_wrong_password_of_sudo_is_told_as_ansible_does(
    tmp_path: Path, sudo: dict[str, str]
) -> None:
    code, said = look(tmp_path, **sudo, ansible_become_password="wrong")
    assert code == 2
    assert "Duplicate become password prompt encountered" in said


def test_a_python_that_is_not_there_is_told(tmp_path: Path) -> None:
    code, said = look(tmp_path, ansible_python_interpreter="/none/python3")
    assert code == 2
    assert "lab-1: node_look ended there with code 127; it last said" in said
    assert "/none/python3: not found" in said


def test_a_node_that_is_not_reached_is_unreachable(tmp_path: Path) -> None:
    where = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": "1"}
    code, said = look(tmp_path, **where)
    assert code == 4
    assert "Connection refused" in said

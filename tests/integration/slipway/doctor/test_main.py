"""A whole run, with machines that stand in the way each in its own way."""

from __future__ import annotations

import getpass
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import playbooks
from tests.support.git_servers import Sshd, sshd_for_a_key
from tests.support.playbooks import ANSIBLE, play

LATE = """\
#!/bin/sh
for last; do :; done
[ "$last" = - ] || exec /usr/bin/python3 "$@"
exec /usr/bin/python3 -I -c '
import sys, time
now = time.time
time.time = lambda: now() - 3600
exec(compile(sys.stdin.read(), "-", "exec"))
'
"""
"""A Python whose clock is an hour behind for the program that it is given as its input."""

APPS = "version: 1\napps:\n  - {name: a, git_url: /a.git, port: 70000}\n"


HERE = {"ansible_connection": "local"}


def written(folder: Path, machines: dict[str, dict[str, Any]], *, control_planes: int = 1) -> Path:
    """An inventory of machines, those of the control plane first, in an empty folder."""
    names = [*machines]
    children = {
        "control_plane": {"hosts": {name: machines[name] for name in names[:control_planes]}},
        "workers": {"hosts": {name: machines[name] for name in names[control_planes:]}},
    }
    variables = {
        "slipway_cluster_name": "odd",
        "slipway_cache_dir": str(folder / "cache"),
        "slipway_example_repositories_dir": str(folder / "examples"),
        "slipway_ca_dir": str(folder / "ca"),
        "slipway_kubeconfig": str(folder / "kube" / "odd.yaml"),
        "slipway_apps_file": str(folder / "apps.yml"),
        "metallb_pool": ["192.0.2.200-192.0.2.220"],
    }
    (folder / "apps.yml").write_text(APPS)
    of_group = folder / "group_vars" / "cluster.yml"
    of_group.parent.mkdir()
    of_group.write_text(yaml.safe_dump(variables))
    localhost = HERE | {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    cluster = {
        "hosts": {"localhost": localhost},
        "children": {"nodes": {"children": children}},
    }
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump({"cluster": cluster, "nodes_to_be_made": {}}))
    return path


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three machines: with a late clock, without Python, and behind a port that is closed."""
    folder = tmp_path_factory.mktemp("inventory")
    interpreter = folder / "python3"
    interpreter.write_text(LATE)
    interpreter.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    machines = {
        "late": {**HERE, "ansible_python_interpreter": str(interpreter)},
        "empty": {**HERE, "ansible_python_interpreter": "/none/python3"},
        "gone": {"ansible_host": "127.0.0.1", "ansible_port": closed, "ansible_user": "root"},
    }
    for last, each in enumerate(machines.values(), start=11):
        each["node_address"] = f"192.0.2.{last}"
    return written(folder, machines)


def test_machines_that_stand_in_the_way_are_all_told_and_hide_no_other(inventory: Path) -> None:
    command = [ANSIBLE, "--inventory", str(inventory), "playbooks/doctor.yml"]
    done = playbooks.done([sys.executable, "-m", "slipway.doctor", "--output", "json", *command])
    assert done.returncode == 1, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["works"] is False
    failed = {
        (each["machine"], each["check"]): each["found"]
        for each in document["findings"]
        if each["state"] == "fail"
    }
    assert "s behind this machine's" in failed["late", "clock"]
    assert "192.0.2.11 is none of its addresses" in failed["late", "address"]
    assert failed["empty", "reached"].startswith("has no Python at /none/python3")
    assert "Connection refused" in failed["gone", "reached"]
    assert "70000" in failed["localhost", "apps file"]
    looked_at = {each["machine"]: each["check"] for each in document["findings"]}
    assert looked_at.keys() == {"localhost", "late", "empty", "gone"}


def test_a_run_ends_with_all_that_before_anything_is_changed(inventory: Path) -> None:
    before = sorted(inventory.parent.rglob("*"))
    done = play("--inventory", str(inventory), "site.yml")
    assert done.returncode != 0
    for words in (
        "late, clock: ",
        "late, address: 192.0.2.11 is none of its addresses",
        "empty, reached: has no Python at /none/python3",
        "gone, reached: cannot be reached",
        "70000",
    ):
        assert words in done.stdout, done.stdout
    assert "Make the bundle" not in done.stdout
    assert "nothing changed" in done.stdout
    assert sorted(inventory.parent.rglob("*")) == before


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """An SSH server that lets the key ``id`` in."""
    with sshd_for_a_key(tmp_path) as running:
        yield running


def by_ssh(folder: Path, server: Sshd, options: str = "", **more: Any) -> dict[str, Any]:
    """A machine that is reached by the server."""
    known = f"-F none -o UserKnownHostsFile={folder}/known_hosts {options}"
    return {
        "ansible_user": getpass.getuser(),
        "ansible_host": "127.0.0.1",
        "ansible_port": server.port,
        "ansible_ssh_private_key_file": str(folder / "id"),
        "ansible_ssh_common_args": known,
        # A connection that is shared is not asked for its key again.
        "ansible_ssh_args": "-o ControlMaster=no",
        **more,
    }


def test_all_that_is_wrong_with_machines_is_told_at_once_and_before_ansible_s_own_words(
    tmp_path: Path, server: Sshd
) -> None:
    (tmp_path / "known_hosts").write_text(f"{server.known_hosts}\n")
    machines = {
        "one": by_ssh(tmp_path, server, "-o HostKeyAlias=one", node_address="192.0.2.11"),
        "two": by_ssh(tmp_path, server, "-o HostKeyAlias=two", node_address="192.0.2.21"),
        "three": by_ssh(
            tmp_path,
            server,
            node_address="192.0.2.22",
            ansible_python_interpreter="/of/no/python3",
        ),
        "four": by_ssh(tmp_path, server, node_address="192.0.2.23", ansible_port=1),
        "five": by_ssh(tmp_path, server, node_address="five.example.org"),
    }
    done = play("--inventory", str(written(tmp_path, machines)), "site.yml")
    assert done.returncode != 0
    assert "UNREACHABLE" not in done.stdout
    public = server.known_hosts.partition(" ")[2]
    # Ansible says the text of a failure twice, and there is one failure.
    heard = {
        expected: done.stdout.count(expected)
        for expected in (
            "SSH: nobody has said yet that these keys are the machines' own",
            f"'one {public}'",
            f"'two {public}'",
            "three, reached: has no Python at /of/no/python3",
            "four, reached: cannot be reached:",
            "inventory five.node_address: 'five.example.org' is not an address",
        )
    }
    assert heard == dict.fromkeys(heard, 2), done.stdout
    assert "one, reached" not in done.stdout


def test_an_inventory_without_a_control_plane_is_told_as_ever(tmp_path: Path, server: Sshd) -> None:
    machines = {"one": by_ssh(tmp_path, server, node_address="192.0.2.11")}
    path = written(tmp_path, machines, control_planes=0)
    done = play("--inventory", str(path), "site.yml")
    assert done.returncode != 0
    assert "inventory: there is no node for the control plane\n" in done.stdout, done.stdout

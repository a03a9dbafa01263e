"""A whole run, with machines that stand in the way each in its own way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.made import PROJECT

ANSIBLE = Path(sys.executable).with_name("ansible-playbook")

LATE = """
import time
now = time.time
time.time = lambda: now() - 3600
"""
"""What Python reads at its start; the clock of that Python is an hour behind."""

APPS = "version: 1\napps:\n  - {name: a, git_url: /a.git, port: 70000}\n"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three machines: with a late clock, without Python, and behind a port that is closed."""
    folder = tmp_path_factory.mktemp("inventory")
    late = folder / "late"
    late.mkdir()
    (late / "sitecustomize.py").write_text(LATE)
    interpreter = late / "python3"
    interpreter.write_text(f'#!/bin/sh\nPYTHONPATH={late} exec /usr/bin/python3 "$@"\n')
    interpreter.chmod(0o755)
    (folder / "apps.yml").write_text(APPS)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    here = {"ansible_connection": "local"}
    machines = {
        "late": {**here, "ansible_python_interpreter": str(interpreter)},
        "empty": {**here, "ansible_python_interpreter": "/none/python3"},
        "gone": {"ansible_host": "127.0.0.1", "ansible_port": closed, "ansible_user": "root"},
    }
    for last, each in enumerate(machines.values(), start=11):
        each["node_address"] = f"192.0.2.{last}"
    children = {
        "control_plane": {"hosts": {"late": machines["late"]}},
        "workers": {"hosts": {name: machines[name] for name in ("empty", "gone")}},
    }
    localhost = here | {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    variables = {
        "slipway_cluster_name": "odd",
        "slipway_cache_dir": str(folder / "cache"),
        "slipway_example_repositories_dir": str(folder / "examples"),
        "slipway_ca_dir": str(folder / "ca"),
        "slipway_kubeconfig": str(folder / "kube" / "odd.yaml"),
        "slipway_apps_file": str(folder / "apps.yml"),
        "metallb_pool": ["192.0.2.200-192.0.2.220"],
    }
    of_group = folder / "group_vars" / "cluster.yml"
    of_group.parent.mkdir()
    of_group.write_text(yaml.safe_dump(variables))
    cluster = {
        "hosts": {"localhost": localhost},
        "children": {"nodes": {"children": children}},
    }
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump({"cluster": cluster, "nodes_to_be_made": {}}))
    return path


def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run something as make does."""
    return subprocess.run(
        argv,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_machines_that_stand_in_the_way_are_all_told_and_hide_no_other(inventory: Path) -> None:
    command = [str(ANSIBLE), "--inventory", str(inventory), "playbooks/doctor.yml"]
    done = run([sys.executable, "-m", "slipway.doctor", "--output", "json", *command])
    assert done.returncode == 1, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["works"] is False
    failed = {
        (each["machine"], each["check"]): each["found"]
        for each in document["findings"]
        if each["state"] == "fail"
    }
    assert "s behind this machine's" in failed["late", "clock"]
    assert "192.0.2.11 is no address of it" in failed["late", "address"]
    assert "/none/python3" in failed["empty", "reached"]
    assert "Connection refused" in failed["gone", "reached"]
    assert "70000" in failed["localhost", "apps file"]
    looked_at = {each["machine"]: each["check"] for each in document["findings"]}
    assert looked_at.keys() == {"localhost", "late", "empty", "gone"}


def test_a_run_ends_with_all_that_before_anything_is_changed(inventory: Path) -> None:
    before = sorted(inventory.parent.rglob("*"))
    done = run([str(ANSIBLE), "--inventory", str(inventory), "site.yml"])
    assert done.returncode != 0
    for words in (
        "late, clock: ",
        "late, address: 192.0.2.11 is no address of it",
        "empty, reached: cannot be looked at",
        "gone, reached: cannot be looked at",
        "70000",
    ):
        assert words in done.stdout, done.stdout
    assert "Make the bundle" not in done.stdout
    assert "nothing changed" in done.stdout
    assert sorted(inventory.parent.rglob("*")) == before

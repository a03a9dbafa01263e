"""Which bundles a run has, by the processors that its machines say they have."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.architecture import Architecture
from tests.support.checkout import PROJECT
from tests.support.locks import VERSIONS, Locks
from tests.support.playbooks import play
from tests.support.upstreams import upstream

OWN = Architecture.here()
(OTHER,) = {*Architecture} - {OWN}

HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}

FOREIGN = f"import platform\nplatform.machine = lambda: {OTHER.machine!r}\n"
"""What Python reads at its start, to be that of a machine with another processor."""

SHOWN = (
    "{{ {'kind': slipway_architecture, 'bundle': slipway_bundle_dir,"
    " 'images': slipway_cache_dir | cached_images(slipway_architecture)} }}"
)
"""What a host goes by: its processor, and where what it gets of the bundle and of apps is."""


class Run:
    """Checks with an inventory of two machines, which change nothing."""

    def __init__(self, folder: Path, other: dict[str, Any]) -> None:
        self.cache = folder / "cache"
        (folder / "inventory").mkdir()
        (folder / "play").mkdir()
        # As in a checkout, where they are beside the playbook.
        (folder / "play" / "group_vars").symlink_to(PROJECT / "group_vars")
        nodes = {
            "control_plane": {"hosts": {"own": {**HERE, "node_address": "192.0.2.11"}}},
            "workers": {"hosts": {"other": {**other, "node_address": "192.0.2.21"}}},
        }
        cluster = {"hosts": {"localhost": HERE}, "children": {"nodes": {"children": nodes}}}
        self.inventory = folder / "inventory" / "hosts.yml"
        self.inventory.write_text(yaml.safe_dump({"cluster": cluster, "nodes_to_be_made": {}}))
        self.playbook = folder / "play" / "play.yml"

    def found(self, hosts: str, shown: str = SHOWN, **extra: Any) -> dict[str, Any]:
        """What hosts have for an expression, once the bundles were found."""
        out = self.playbook.with_name("out")
        out.mkdir()
        write = {"content": shown, "dest": f"{out}/{{{{ inventory_hostname }}}}"}
        task = {"ansible.builtin.copy": write, "check_mode": False, "name": "Write"}
        plays = [
            {"ansible.builtin.import_playbook": str(PROJECT / "playbooks" / "bundle.yml")},
            {"hosts": hosts, "gather_facts": False, "tasks": [task]},
        ]
        self.playbook.write_text(yaml.safe_dump(plays))
        given = json.dumps({"slipway_cache_dir": str(self.cache), **extra})
        done = play("--check", "-i", str(self.inventory), "-e", given, str(self.playbook))
        assert done.returncode == 0, done.stdout + done.stderr
        return {path.name: json.loads(path.read_text()) for path in out.iterdir()}


@pytest.fixture
def foreign(tmp_path: Path) -> dict[str, Any]:
    """A machine that says it has another processor than this one."""
    (tmp_path / "sitecustomize.py").write_text(FOREIGN)
    interpreter = tmp_path / "python3"
    interpreter.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    interpreter.chmod(0o755)
    return {**HERE, "ansible_python_interpreter": str(interpreter)}


def test_each_node_gets_what_is_for_its_processor(tmp_path: Path, foreign: dict[str, Any]) -> None:
    run = Run(tmp_path, foreign)
    found = run.found("all")
    kinds = {name: each["kind"] for name, each in found.items()}
    assert kinds == {"localhost": OWN, "own": OWN, "other": OTHER}
    assert found["own"] == found["localhost"]
    assert found["own"]["bundle"] != found["other"]["bundle"]
    assert found["own"]["images"] == f"{run.cache}/images"
    assert found["other"]["images"] == f"{run.cache}/images-of/{OTHER}"
    assert not run.cache.exists()


def test_one_that_is_named_is_had_without_a_word_to_the_nodes(tmp_path: Path) -> None:
    silent = {**HERE, "ansible_python_interpreter": "/none/python3"}
    shown = "{{ ansible_facts['bundle_dirs'] | list }}"
    run = Run(tmp_path, silent)
    found = run.found("localhost", shown, __bundle_architecture=OTHER.machine)
    assert found == {"localhost": [OTHER]}


def test_newer_versions_are_asked_for_at_mirrors_and_written(tmp_path: Path) -> None:
    with upstream() as served:
        locks = Locks(tmp_path, served)
        given = {
            "slipway_project_dir": str(tmp_path),
            "slipway_mirrors": locks.mirrors,
            "__bundle_bumped": "kubernetes=1.36.4 server",
        }
        command = ("-i", "inventory/local", "-e", json.dumps(given), "playbooks/bump.yml")
        done = play(*command, GOPROXY=f"{served.url}/go")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kubernetes  1.36.3  1.36.4  kubelet\n" in done.stdout
    assert locks.versions == VERSIONS.replace("1.36.3", "1.36.4").replace('"1.9"', '"1.10"')
    assert f"registry.test/server:v1.10: {locks.digest}" in locks.upstream

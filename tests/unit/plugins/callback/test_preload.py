"""The preload callback: what tasks load is there before they begin."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.checkout import PROJECT

PLAY = """
import gc, json, sys
from types import SimpleNamespace

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.vars.manager import VariableManager

from plugins.callback.preload import CallbackModule


def loaded():
    plugins = [name for name in sys.modules if name.startswith("ansible.plugins.")]
    return {"plugins": plugins, "frozen": gc.get_freeze_count()}


init_plugin_loader()
loader = DataLoader()
variables = VariableManager(loader, InventoryManager(loader, sources=[sys.argv[1]]))
before = loaded()
CallbackModule().v2_playbook_on_play_start(SimpleNamespace(get_variable_manager=lambda: variables))
print(json.dumps([before, loaded()]))
"""
"""The start of a play, in a process of its own: what was loaded before it and after it."""


def played(folder: Path, groups: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    inventory = folder / "hosts.yml"
    inventory.write_text(json.dumps(groups))
    done = subprocess.run(
        [sys.executable, "-c", PLAY, inventory],
        env={**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    return before, after


def plugins(found: dict[str, Any], kind: str) -> set[str]:
    """The names of the plugins that are loaded; Ansible adds a number to some."""
    modules = [name.split(".")[2:] for name in found["plugins"]]
    return {re.sub(r"_\d+$", "", module[1]) for module in modules if module[:-1] == [kind]}


def test_the_connections_of_the_inventory_are_loaded(tmp_path: Path) -> None:
    before, after = played(
        tmp_path,
        {
            "controller": {"hosts": {"here": {"ansible_connection": "local"}}},
            "machines": {"hosts": {"far": {}}, "vars": {"ansible_connection": "psrp"}},
        },
    )
    assert plugins(before, "connection") & {"local", "psrp"} == set()
    assert plugins(after, "connection") - plugins(before, "connection") == {"local", "psrp"}


def test_filters_and_tests_are_loaded_and_what_is_loaded_stays(tmp_path: Path) -> None:
    before, after = played(tmp_path, {})
    assert plugins(before, "filter") | plugins(before, "test") == set()
    assert {"core", "urls", "image_digest"} <= plugins(after, "filter")
    assert {"core", "uri"} <= plugins(after, "test")
    assert before["frozen"] == 0
    assert after["frozen"] > 0


def test_a_host_without_a_connection_has_ansible_s_own(tmp_path: Path) -> None:
    before, after = played(tmp_path, {"all": {"hosts": {"plain": {}}}})
    assert "ssh" not in plugins(before, "connection")
    assert "ssh" in plugins(after, "connection")


def test_a_connection_that_there_is_not_is_left_to_the_task(tmp_path: Path) -> None:
    names = ["nope", "no.such.connection", "{{ later }}", "local"]
    hosts = {f"host-{at}": {"ansible_connection": name} for at, name in enumerate(names)}
    groups = {"all": {"hosts": hosts}}
    assert "local" in plugins(played(tmp_path, groups)[1], "connection")

"""What Ansible itself makes of the project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.checkout import PROJECT

ACTIONS = sorted(path.stem for path in (PROJECT / "plugins" / "action").glob("*.py"))


def test_ansible_can_show_the_documentation_of_every_plugin() -> None:
    modules = {path.stem for path in (PROJECT / "plugins" / "modules").glob("*.py")}
    assert modules >= set(ACTIONS)
    ansible_doc = Path(sys.executable).with_name("ansible-doc")
    done = subprocess.run(
        [ansible_doc, "--type=module", "--json", *modules],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    shown = json.loads(done.stdout)
    assert set(shown) == modules
    for name, entry in shown.items():
        assert entry["doc"]["module"] == name
        assert {"check_mode", "diff_mode"} <= entry["doc"]["attributes"].keys(), name
        (example, *_others) = yaml.safe_load(entry["examples"])
        assert example.keys() >= {"name", name}
        assert entry["return"] is not None

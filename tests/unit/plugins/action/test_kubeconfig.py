"""The kubeconfig of a cluster, from its node to its user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from plugins.action import kubeconfig
from slipway.control_node.kubeconfig import read, write
from tests.support.fake_ansible import action

ADMIN = {
    "clusters": [{"name": "kubernetes", "cluster": {"server": "https://172.29.0.2:6443"}}],
    "users": [{"name": "kubernetes-admin", "user": {"client-key-data": "a2V5"}}],
    "contexts": [{"name": "kubernetes-admin@kubernetes", "context": {}}],
}


def kubeconfig_of(
    args: dict[str, Any], *, admin: str | None = "", check: bool = False
) -> dict[str, Any]:
    """Run kubeconfig for a node that has ``admin`` in its file, or no file if that is None."""
    plugin = action(kubeconfig.ActionModule, {"name": "lab", **args}, check=check)
    found = {"rc": 1, "stdout": ""} if admin is None else {"rc": 0, "stdout": admin}

    def asked(_command: str) -> dict[str, Any]:
        assert plugin._play_context.no_log, "at -vvv, the connection shows what the node says"
        return found

    plugin._low_level_execute_command = asked
    result: dict[str, Any] = plugin.run()
    return result


def test_the_kubeconfig_of_the_node_is_taken_once(tmp_path: Path) -> None:
    args = {"path": str(tmp_path / "lab.yaml")}
    result = kubeconfig_of(args, admin=yaml.safe_dump(ADMIN))
    assert (result["changed"], result["exists"]) == (True, True)
    assert read(tmp_path / "lab.yaml")["current-context"] == "lab"
    assert not kubeconfig_of(args, admin=yaml.safe_dump(ADMIN))["changed"]


def test_its_keys_are_not_in_the_result(tmp_path: Path) -> None:
    args = {"path": str(tmp_path / "lab.yaml"), "merge_into": str(tmp_path / "config")}
    assert "a2V5" not in str(kubeconfig_of(args, admin=yaml.safe_dump(ADMIN)))


def test_a_node_without_one_leaves_the_file_alone(tmp_path: Path) -> None:
    result = kubeconfig_of({"path": str(tmp_path / "lab.yaml")}, admin=None)
    assert (result["changed"], result["exists"]) == (False, False)
    assert list(tmp_path.iterdir()) == []


def test_a_check_of_the_kubeconfig_writes_nothing(tmp_path: Path) -> None:
    args = {"path": str(tmp_path / "lab.yaml"), "merge_into": str(tmp_path / "config")}
    assert kubeconfig_of(args, admin=yaml.safe_dump(ADMIN), check=True)["changed"]
    assert list(tmp_path.iterdir()) == []


def test_it_comes_and_goes_in_a_shared_file(tmp_path: Path) -> None:
    work = {"contexts": [{"name": "work"}], "current-context": "work"}
    write(tmp_path / "config", {"clusters": [], "users": [], **work})
    args = {"path": str(tmp_path / "lab.yaml"), "merge_into": str(tmp_path / "config")}
    kubeconfig_of(args, admin=yaml.safe_dump(ADMIN))
    both = read(tmp_path / "config")
    assert [entry["name"] for entry in both["contexts"]] == ["work", "lab"]
    assert both["current-context"] == "work"

    absent = {**args, "state": "absent"}
    assert kubeconfig_of(absent, check=True)["changed"]
    assert read(tmp_path / "config") == both
    assert kubeconfig_of(absent)["changed"]
    assert [entry["name"] for entry in read(tmp_path / "config")["contexts"]] == ["work"]
    assert not (tmp_path / "lab.yaml").exists()
    assert not kubeconfig_of(absent)["changed"]


def test_with_it_go_those_of_other_people(tmp_path: Path) -> None:
    write(tmp_path / "lab.people" / "ada.yaml", ADMIN)
    args = {"path": str(tmp_path / "lab.yaml"), "state": "absent"}
    assert kubeconfig_of(args, check=True)["changed"]
    assert (tmp_path / "lab.people" / "ada.yaml").exists()
    assert kubeconfig_of(args)["changed"]
    assert list(tmp_path.iterdir()) == []
    assert not kubeconfig_of(args)["changed"]

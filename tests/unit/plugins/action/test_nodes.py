"""The action plugins that work on a node: what they ask of it and what they send."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.action import kubeconfig, node_config
from slipway.control_node.kubeconfig import read, write
from tests.support.fake_ansible import action


class FakeNode:
    """A node whose module gives prepared answers."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.sent: dict[str, str] = {}
        self.removed: list[str] = []
        self.said: list[str] = []

    def run(self, args: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        """Run node_config for a task with ``args``."""
        plugin = action(node_config.ActionModule, args, check=check)
        plugin._execute_module = self._execute
        plugin._connection.put_file = self._put
        plugin._make_tmp_path = lambda: "/tmp/ansible"
        plugin._remove_tmp_path = self.removed.append
        plugin._fixup_perms2 = lambda _paths: None
        plugin.say = self.said.append  # type: ignore[method-assign, assignment]
        result: dict[str, Any] = plugin.run(task_vars={"inventory_hostname": "worker"})
        return result

    def _execute(
        self, *, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        assert module_name == "node_config"
        self.asked.append({**module_args, "files": [dict(entry) for entry in module_args["files"]]})
        return self.answers.pop(0)

    def _put(self, source: str, target: str) -> None:
        self.sent[target] = Path(source).read_text()


@pytest.fixture
def files(tmp_path: Path) -> list[dict[str, Any]]:
    """Two binaries and a text."""
    for name in ("kubeadm", "kubelet"):
        (tmp_path / name).write_text(name)
    return [
        {"path": "/bin/kubeadm", "source": str(tmp_path / "kubeadm"), "mode": "0755"},
        {"path": "/etc/text", "content": "täxt"},
        {"path": "/bin/kubelet", "source": str(tmp_path / "kubelet"), "mode": "0755"},
    ]


DONE = {"changed": False, "replaced": [], "units": []}


def test_files_are_described_by_size_and_sum(files: list[dict[str, Any]]) -> None:
    node = FakeNode(DONE)
    node.run({"files": files, "units": ["kubelet.service"], "absent": ["/etc/old"]})
    (asked,) = node.asked
    assert asked["units"] == ["kubelet.service"]
    assert asked["absent"] == ["/etc/old"]
    assert asked["probe"] is True
    kubeadm, text, _kubelet = asked["files"]
    assert kubeadm["content"] is None
    assert kubeadm["sha256"] == hashlib.sha256(b"kubeadm").hexdigest()
    assert (kubeadm["size"], kubeadm["mode"]) == (7, "0755")
    assert text["sha256"] == hashlib.sha256("täxt".encode()).hexdigest()
    assert (text["size"], text["mode"]) == (5, "0644")


def test_where_nothing_large_differs_one_run_does_it(files: list[dict[str, Any]]) -> None:
    node = FakeNode({**DONE, "changed": True, "replaced": ["/etc/text"]})
    result = node.run({"files": files})
    assert result["replaced"] == ["/etc/text"]
    assert node.sent == {}


def test_only_what_differs_is_sent(files: list[dict[str, Any]]) -> None:
    node = FakeNode(
        {**DONE, "to_send": ["/bin/kubelet"]},
        {**DONE, "changed": True, "replaced": ["/bin/kubelet"]},
    )
    result = node.run({"files": files})
    assert result["changed"] is True
    assert node.sent == {"/tmp/ansible/2": "kubelet"}
    assert node.said == ["worker: sending /bin/kubelet"]
    assert node.asked[1]["probe"] is False
    assert [entry.get("sent") for entry in node.asked[1]["files"]] == [None, None, "/tmp/ansible/2"]
    assert node.removed == ["/tmp/ansible"]


def test_a_check_sends_nothing(files: list[dict[str, Any]]) -> None:
    node = FakeNode({**DONE, "changed": True, "to_send": ["/bin/kubelet"]})
    result = node.run({"files": files}, check=True)
    assert result["changed"] is True
    assert "to_send" not in result
    assert node.sent == {}


def test_a_node_that_fails_is_asked_no_more(files: list[dict[str, Any]]) -> None:
    node = FakeNode({"failed": True, "msg": "no space", "to_send": ["/bin/kubelet"]})
    assert node.run({"files": files})["msg"] == "no space"
    assert node.sent == {}


def test_what_was_sent_does_not_stay_behind_when_the_node_fails(
    files: list[dict[str, Any]],
) -> None:
    node = FakeNode({**DONE, "to_send": ["/bin/kubelet"]})  # and no second answer
    with pytest.raises(IndexError):
        node.run({"files": files})
    assert node.removed == ["/tmp/ansible"]


def test_a_source_that_is_not_there_is_told_before_the_node_is_asked(tmp_path: Path) -> None:
    node = FakeNode()
    source = str(tmp_path / "kubelet")
    result = node.run({"files": [{"path": "/bin/kubelet", "source": source}]})
    assert result["failed"] is True
    assert result["msg"] == f"/bin/kubelet: {source} is not there\n    fix: make the bundle"


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
    plugin._low_level_execute_command = lambda _command: found
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

"""The action plugins that work on a node: what they ask of it and what they send."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from plugins.action import node_config
from slipway.errors import Problem, SlipwayError
from tests.support.fake_ansible import action


class FakeNode:
    """A node that gives prepared answers."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.sent: dict[str, str] = {}
        self.removed: list[str] = []
        self.said: list[str] = []

    def run(self, args: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        """Run node_config for a task with ``args``."""
        plugin = action(node_config.ActionModule, args, check=check)
        plugin.on_node = self._carry_out  # type: ignore[method-assign, assignment]
        plugin._connection.put_file = self._put
        plugin._make_tmp_path = lambda: "/tmp/ansible"
        plugin._remove_tmp_path = self.removed.append
        plugin._fixup_perms2 = lambda _paths: None
        plugin.say = self.said.append  # type: ignore[method-assign, assignment]
        result: dict[str, Any] = plugin.run(
            task_vars={"inventory_hostname": "worker", "role_name": "a"}
        )
        return result

    def _carry_out(
        self, name: str, args: Mapping[str, Any], _variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        assert name == "node_config"
        self.asked.append({**args, "files": [dict(entry) for entry in args["files"]]})
        if not self.answers:
            raise SlipwayError(Problem("worker", "node_config ended there"))
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


DONE = {"changed": False, "replaced": [], "units": [], "to_send": []}


def test_files_are_described_by_size_and_sum(files: list[dict[str, Any]]) -> None:
    node = FakeNode(DONE)
    node.run({"files": files, "units": ["kubelet.service"], "absent": ["/etc/old"]})
    (asked,) = node.asked
    assert asked["units"] == ["kubelet.service"]
    assert asked["absent"] == ["/etc/old"]
    assert asked["role"] == "a"
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
    assert [entry.get("sent") for entry in node.asked[1]["files"]] == [None, None, "/tmp/ansible/2"]
    assert node.removed == ["/tmp/ansible"]


def test_a_check_sends_nothing(files: list[dict[str, Any]]) -> None:
    node = FakeNode({**DONE, "changed": True, "to_send": ["/bin/kubelet"]})
    result = node.run({"files": files}, check=True)
    assert result["changed"] is True
    assert "to_send" not in result
    assert node.sent == {}


def test_what_differs_only_since_then_is_sent_too(files: list[dict[str, Any]]) -> None:
    node = FakeNode(
        {**DONE, "to_send": ["/bin/kubelet"]},
        {**DONE, "to_send": ["/bin/kubeadm"]},
        {**DONE, "changed": True, "replaced": ["/bin/kubeadm", "/bin/kubelet"]},
    )
    result = node.run({"files": files})
    assert result["replaced"] == ["/bin/kubeadm", "/bin/kubelet"]
    assert node.sent == {"/tmp/ansible/2": "kubelet", "/tmp/ansible/0": "kubeadm"}
    assert node.removed == ["/tmp/ansible"]


def test_a_node_that_fails_is_asked_no_more(files: list[dict[str, Any]]) -> None:
    node = FakeNode({**DONE, "failed": True, "msg": "no space"})
    assert node.run({"files": files})["msg"] == "no space"
    assert node.sent == {}


def test_what_was_sent_does_not_stay_behind_when_the_node_fails(
    files: list[dict[str, Any]],
) -> None:
    node = FakeNode({**DONE, "to_send": ["/bin/kubelet"]})  # and no second answer
    assert node.run({"files": files})["msg"] == "worker: node_config ended there"
    assert node.removed == ["/tmp/ansible"]


def test_a_source_that_is_not_there_is_told_before_the_node_is_asked(tmp_path: Path) -> None:
    node = FakeNode()
    source = str(tmp_path / "kubelet")
    result = node.run({"files": [{"path": "/bin/kubelet", "source": source}]})
    assert result["failed"] is True
    assert result["msg"] == f"/bin/kubelet: {source} is not there\n    fix: make the bundle"

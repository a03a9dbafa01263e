"""A look at a node by two modules, of which none ends the run."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError

from plugins.action import machine_look
from tests.support.fake_ansible import action

NODE = {"cluster": "lab", "endpoint": "https://192.0.2.11:6443", "control_plane": True}
ARGS: dict[str, Any] = {
    "node": NODE,
    "address": "192.0.2.11",
    "pool": ["192.0.2.200-192.0.2.201", "no range", "fd00::1-fd00::2", "192.0.2.224/31"],
}


class Node:
    """What the modules say on a node."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.look: dict[str, Any] = {"state": "bare"}
        self.ahead = 0.0
        self.machine: dict[str, Any] = {"unknown": {}}
        self.error: AnsibleError | None = None
        self.asked: dict[str, dict[str, Any]] = {}
        monkeypatch.setattr(machine_look.ActionModule, "_execute_module", self.execute)

    def execute(self, name: str, args: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Run a module."""
        if self.error:
            raise self.error
        self.asked[name] = args
        if name == "node_look":
            return self.look
        return {"facts": {"clock": time.time() + self.ahead}, **self.machine}

    def looked_at(self, **changes: Any) -> dict[str, Any]:
        """What comes of it."""
        return action(machine_look.ActionModule, {**ARGS, **changes}).run()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    """A bare machine."""
    return Node(monkeypatch)


def test_a_bare_machine_is_told_with_its_facts(node: Node) -> None:
    result = node.looked_at()
    assert (result["changed"], result["failure"]) == (False, "")
    assert (result["state"], result["refusals"], result["skew"]) == ("bare", [], 0.0)
    assert "clock" in result["facts"]
    assert node.asked["node_look"] == NODE
    assert node.asked["machine_look"]["places"]["images"] == "/var/lib/containerd"


def test_the_pool_is_asked_for_by_a_bare_control_plane_alone(node: Node) -> None:
    node.looked_at()
    pool = [f"192.0.2.{last}" for last in (200, 201, 224, 225)]
    assert node.asked["machine_look"]["addresses"] == pool
    assert node.asked["machine_look"]["address"] == "192.0.2.11"
    node.looked_at(node={**NODE, "control_plane": False})
    assert node.asked["machine_look"]["addresses"] == []
    node.look = {"state": "member"}
    node.looked_at()
    assert node.asked["machine_look"]["addresses"] == []


def test_of_a_large_pool_some_are_asked_for(node: Node) -> None:
    node.looked_at(pool=["10.0.0.0/8"])
    assert len(node.asked["machine_look"]["addresses"]) == machine_look.MOST_ASKED


def test_a_machine_that_is_refused_is_told_with_its_facts_all_the_same(node: Node) -> None:
    refusals = [{"what": "is not bare", "found": [], "fix": "another"}]
    node.look = {"failed": True, "msg": "is not bare", "refusals": refusals}
    result = node.looked_at()
    assert "failed" not in result
    assert (result["failure"], result["state"], result["refusals"]) == ("", "", refusals)
    assert "clock" in result["facts"]


@pytest.mark.parametrize("error", [AnsibleConnectionFailure("refused"), AnsibleError("sudo")])
def test_a_machine_that_is_not_reached_is_told_with_the_reason(
    error: AnsibleError, node: Node
) -> None:
    node.error = error
    result = node.looked_at()
    assert result["failure"] == str(error)
    assert "failed" not in result
    assert "facts" not in result


def test_a_machine_without_python_is_told_with_what_it_said(node: Node) -> None:
    node.look = {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "python3: not found\n"}
    assert node.looked_at()["failure"] == "MODULE FAILURE\npython3: not found"
    node.look, node.machine = {"state": "bare"}, {"failed": True, "msg": "no"}
    assert node.looked_at()["failure"] == "no"


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
def test_a_clock_is_compared_with_the_time_in_which_it_was_read(ahead: float, node: Node) -> None:
    node.ahead = ahead
    assert node.looked_at()["skew"] == pytest.approx(ahead, abs=5.0)

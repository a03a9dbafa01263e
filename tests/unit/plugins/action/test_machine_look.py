"""A look at a node by its shell and two modules, of which none ends the run."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError

from plugins.action import machine_look
from slipway.errors import Problem, SlipwayError
from slipway.nodes import host_keys
from tests.support.fake_ansible import action

NODE = {"cluster": "lab", "endpoint": "https://192.0.2.11:6443", "control_plane": True}
ARGS: dict[str, Any] = {
    "node": NODE,
    "address": "192.0.2.11",
    "nodes": ["192.0.2.11", "192.0.2.21", "two.example.org; reboot"],
    "pool": ["192.0.2.200-192.0.2.201", "no range", "fd00::1-fd00::2", "192.0.2.224/31"],
}


class Node:
    """What the shell and the modules say on a node."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shell = {"user": "0", "python": "3.11", "release": "ID=debian"}
        self.script = ""
        self.connection = SimpleNamespace(
            transport="local", _shell=SimpleNamespace(tmpdir=None), host="192.0.2.11"
        )
        self.look: dict[str, Any] = {"state": "bare"}
        self.ahead = 0.0
        self.machine: dict[str, Any] = {"unknown": {}}
        self.error: AnsibleError | None = None
        self.asked: dict[str, dict[str, Any]] = {}
        self.broken: dict[str, str] = {}
        plugin = machine_look.ActionModule
        monkeypatch.setattr(plugin, "on_node", self.carry_out)
        monkeypatch.setattr(plugin, "_low_level_execute_command", self.answer)

    def answer(self, command: str, in_data: bytes) -> dict[str, Any]:
        """Run a command."""
        if self.error:
            raise self.error
        assert command == "/bin/sh"
        self.script = in_data.decode()
        out = "".join(f"=== {title}\n{text}\n" for title, text in self.shell.items())
        return {"rc": 0, "stdout": f"\n{out}", "stderr": ""}

    def carry_out(self, name: str, args: dict[str, Any], _vars: object) -> dict[str, Any]:
        """Run a module."""
        self.asked[name] = args
        if name in self.broken:
            raise SlipwayError(Problem("two", f"{name} {self.broken[name]}"))
        if name == "node_look":
            return self.look
        return {"facts": {"clock": time.time() + self.ahead}, **self.machine}

    def looked_at(self, variables: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """What comes of it."""
        plugin = action(machine_look.ActionModule, {**ARGS, **changes})
        plugin._connection = self.connection
        return plugin.run(task_vars={"inventory_hostname": "two", **(variables or {})})


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    """A bare machine."""
    return Node(monkeypatch)


def test_a_bare_machine_is_told_with_its_facts(node: Node) -> None:
    result = node.looked_at()
    assert (result["changed"], result["failure"]) == (False, "")
    assert (result["reached"], result["host_key"]) == (True, {})
    assert result["shell"]["python"] == "3.11"
    assert (result["state"], result["refusals"], result["skew"]) == ("bare", [], 0.0)
    assert "clock" in result["facts"]
    assert result["ansible_facts"] == {}
    assert node.asked["node_look"] == NODE
    assert node.asked["machine_look"]["places"]["images"] == "/var/lib/containerd"


def test_its_processor_is_what_the_run_goes_by(node: Node) -> None:
    node.machine["facts"] = {"clock": time.time(), "system": {"processor": "aarch64"}}
    assert node.looked_at()["ansible_facts"] == {"architecture": "aarch64"}


def test_addresses_and_the_disk_are_tried_by_a_bare_control_plane_alone(node: Node) -> None:
    node.looked_at()
    addresses = [f"192.0.2.{last}" for last in (11, 200, 201, 224, 225)]
    assert node.asked["machine_look"]["addresses"] == addresses
    assert node.asked["machine_look"]["sync"]
    assert node.asked["machine_look"]["address"] == "192.0.2.11"
    node.looked_at(node={**NODE, "control_plane": False})
    assert node.asked["machine_look"]["addresses"] == []
    assert not node.asked["machine_look"]["sync"]
    node.look = {"state": "member"}
    node.looked_at()
    assert node.asked["machine_look"]["addresses"] == []


def test_ways_are_asked_to_the_other_nodes_and_to_the_ends_of_the_pool(node: Node) -> None:
    node.looked_at()
    assert node.asked["machine_look"]["ways"] == [
        "192.0.2.21",
        *("192.0.2.200", "192.0.2.201", "fd00::1", "fd00::2", "192.0.2.224", "192.0.2.225"),
    ]


def test_of_a_large_pool_some_are_asked_for(node: Node) -> None:
    node.looked_at(pool=["10.0.0.0/8"])
    assert len(node.asked["machine_look"]["addresses"]) == machine_look.MOST_ASKED + 1


def test_a_machine_that_is_refused_is_told_with_its_facts_all_the_same(node: Node) -> None:
    refusals = [{"what": "is not bare", "found": [], "fix": "another"}]
    node.look = {"failed": True, "msg": "is not bare", "refusals": refusals}
    result = node.looked_at()
    assert "failed" not in result
    assert (result["failure"], result["state"], result["refusals"]) == ("", "", refusals)
    assert "clock" in result["facts"]


@pytest.mark.parametrize(
    ("error", "reached"),
    [(AnsibleConnectionFailure("refused"), False), (AnsibleError("sudo"), True)],
)
def test_a_machine_that_is_not_reached_is_told_with_the_reason(
    error: AnsibleError, reached: bool, node: Node
) -> None:
    node.error = error
    result = node.looked_at()
    assert (result["failure"], result["reached"]) == (str(error), reached)
    assert "failed" not in result
    assert "facts" not in result


@pytest.mark.parametrize(
    "said", [{"python": "3.6"}, {"python": ""}, {"user": "1000"}, {"user": "", "python": ""}]
)
def test_a_machine_on_which_modules_do_not_run_is_asked_nothing_more(
    said: dict[str, str], node: Node
) -> None:
    node.shell |= said
    result = node.looked_at()
    assert node.asked == {}
    assert "facts" not in result
    assert {name: result["shell"][name] for name in said} == said


@pytest.mark.parametrize(
    ("variables", "python"),
    [
        ({}, "/usr/bin/python3"),
        ({"ansible_python_interpreter": "/usr/bin/python3.11"}, "/usr/bin/python3.11"),
        ({"ansible_python_interpreter": "/usr/bin/env python3"}, "/usr/bin/env python3"),
    ],
)
def test_the_python_is_the_one_that_ansible_uses(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], python: str, node: Node
) -> None:
    monkeypatch.setattr("ansible.constants.INTERPRETER_PYTHON", "/usr/bin/python3")
    result = node.looked_at(variables)
    assert result["shell"]["interpreters"] == [python]
    assert f"{{ {python} -c 'import sys" in node.script


def test_where_ansible_looks_for_a_python_itself_the_same_are_asked_for(node: Node) -> None:
    looked_for = ["python3.12", "/usr/bin/python3"]
    result = node.looked_at(
        {
            "ansible_python_interpreter": "auto_silent",
            "ansible_interpreter_python_fallback": looked_for,
        }
    )
    assert result["shell"]["interpreters"] == looked_for


def of_ssh(node: Node, said: str, transport: str = "ssh") -> dict[str, Any]:
    """What is returned of a machine that ssh does not reach, for what is said of it."""

    def get_option(name: str) -> str:
        assert name == "ssh_executable"
        return "/usr/bin/ssh"

    def build(program: str, _subsystem: str) -> list[bytes]:
        return [b"sshpass", b"-d5", program.encode(), b"-o", b"Port=2222"]

    node.error = AnsibleConnectionFailure(said)
    node.connection.transport = transport
    node.connection.get_option, node.connection._build_command = get_option, build
    return node.looked_at()


KEY = host_keys.HostKey("two", "192.0.2.11", "256 SHA256:x", "192.0.2.11 k", "/known_hosts")


@pytest.mark.parametrize("said", host_keys.REFUSED)
def test_a_key_that_is_not_known_is_looked_at_as_ansible_reaches_the_machine(
    monkeypatch: pytest.MonkeyPatch, said: str, node: Node
) -> None:
    asked = []

    def look(*given: Any) -> host_keys.HostKey:
        asked.append(given)
        return KEY

    monkeypatch.setattr(host_keys, "look", look)
    result = of_ssh(node, f"Failed to connect to the host via ssh: {said}.")
    assert asked == [("two", host_keys.Client(["/usr/bin/ssh", "-o", "Port=2222"], "192.0.2.11"))]
    assert host_keys.HostKey(**result["host_key"]) == KEY


@pytest.mark.parametrize(
    ("said", "transport", "found"),
    [
        ("ops@192.0.2.11: Permission denied (publickey).", "ssh", KEY),
        ("Host key verification failed.", "paramiko", KEY),
        ("Host key verification failed.", "ssh", None),
    ],
)
def test_other_reasons_are_told_in_ssh_s_words(
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    transport: str,
    found: host_keys.HostKey | None,
    node: Node,
) -> None:
    monkeypatch.setattr(host_keys, "look", lambda *_given: found)
    result = of_ssh(node, said, transport)
    assert (result["failure"], result["reached"], result["host_key"]) == (said, False, {})


@pytest.mark.parametrize("name", ["node_look", "machine_look"])
def test_a_module_that_comes_to_no_end_is_told_with_what_it_said(name: str, node: Node) -> None:
    node.broken[name] = "ended there with code 1; it last said\n    | no memory"
    result = node.looked_at()
    assert result["failure"] == f"{name} {node.broken[name]}"
    assert "failed" not in result
    assert "facts" not in result


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
def test_a_clock_is_compared_with_the_time_in_which_it_was_read(ahead: float, node: Node) -> None:
    node.ahead = ahead
    assert node.looked_at()["skew"] == pytest.approx(ahead, abs=5.0)

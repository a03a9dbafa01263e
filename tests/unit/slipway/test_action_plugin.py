"""What all action plugins share: arguments, errors, modes, progress."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.template import trust_as_template
from ansible.utils.display import Display

from slipway.action_plugin import SlipwayAction
from slipway.errors import Problem, SlipwayError
from slipway.waiting import allowed
from tests.support.fake_ansible import action


class Echo(SlipwayAction):
    """Returns its arguments."""

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """As a module documents them."""
        return {
            "name": {"type": "str", "required": True},
            "count": {"type": "int", "default": 3},
            "timeout": {"type": "int", "default": 60},
            "nested": {"type": "dict"},
        }

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Everything there is to know."""
        return {"args": args, "vars": task_vars, "modes": (self.check_mode, self.diff_mode)}


class Broken(SlipwayAction):
    """Finds two problems."""

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """None."""
        return {}

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Fail."""
        raise SlipwayError([Problem("a", "is wrong", "mend it"), Problem("b", "is wrong too")])


def test_arguments_are_converted_and_completed() -> None:
    result = action(Echo, {"name": "a", "count": "7"}).run(task_vars={"x": 1})
    assert result["args"] == {"name": "a", "count": 7, "timeout": 60, "nested": None}
    assert result["vars"] == {"x": 1}
    assert action(Echo, {"name": "a"}).run()["args"]["count"] == 3


def test_arguments_are_plain_data_without_ansible_s_tags() -> None:
    tagged = trust_as_template("{{ a }}")
    with pytest.raises(yaml.YAMLError):
        yaml.safe_dump(tagged)
    args = action(Echo, {"name": tagged, "nested": {"key": [tagged]}}).run()["args"]
    assert yaml.safe_load(yaml.safe_dump(args)) == args
    assert args["nested"] == {"key": ["{{ a }}"]}


@pytest.mark.parametrize("args", [{}, {"name": "a", "count": "x"}, {"name": "a", "nmae": "b"}])
def test_wrong_arguments_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(AnsibleError, match=r"name|count|nmae"):
        action(Echo, args).run()


@pytest.mark.parametrize("factor", [2, "2", 2.0])
def test_waits_are_as_long_as_the_variable_says(factor: object) -> None:
    def timeout(variables: dict[str, Any]) -> tuple[float, float]:
        args = action(Echo, {"name": "a", "timeout": 30}).run(task_vars=variables)["args"]
        return float(args["timeout"]), allowed(1)

    assert timeout({"slipway_wait_factor": factor}) == (60, 2)
    assert timeout({}) == (30, 1)


def test_every_problem_is_in_the_message() -> None:
    result = action(Broken, {}).run()
    assert result["failed"] is True
    assert result["msg"] == "a: is wrong\n    fix: mend it\nb: is wrong too"


@pytest.mark.parametrize("modes", [(False, False), (True, False), (False, True)])
def test_the_modes_are_the_task_s(modes: tuple[bool, bool]) -> None:
    result = action(Echo, {"name": "a"}, check=modes[0], diff=modes[1]).run()
    assert result["modes"] == modes


def test_progress_is_shown_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Display().verbosity = 0
    action(Echo, {"name": "a"}).say("half done")
    assert capsys.readouterr().out == "    half done\n"


class Answer(SlipwayAction):
    """Says what it was asked."""

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """It takes none."""
        return {}

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Show two lines."""
        self.say("one", "two")
        return {}


@pytest.mark.parametrize(
    ("variables", "shown"),
    [({}, "    one\n    two\n"), ({"slipway_answer_only": True}, "one\ntwo\n")],
)
def test_an_answer_is_not_indented(
    capsys: pytest.CaptureFixture[str], variables: dict[str, Any], shown: str
) -> None:
    Display().verbosity = 0
    action(Answer, {}).run(task_vars=variables)
    assert capsys.readouterr().out == shown


class There(SlipwayAction):
    """Has a module's work done on the node."""

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """One."""
        return {"endpoint": {"type": "str"}}

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Ask."""
        return self.on_node("api_server_report", args, task_vars)


class FakeNode:
    """Takes what Ansible would run there, and answers."""

    def __init__(self, out: str = "", code: int = 0, error: Exception | None = None) -> None:
        self.out, self.code, self.error = out, code, error
        self.command, self.given = "", ""

    def __call__(self, command: str, in_data: bytes) -> dict[str, Any]:
        """Run a command."""
        if self.error:
            raise self.error
        self.command, self.given = command, in_data.decode()
        return {"rc": self.code, "stdout": self.out, "stderr": "last words\n"}

    def asked(self, **modes: bool) -> dict[str, Any]:
        """What comes of a task with it."""
        plugin = action(There, {"endpoint": "https://192.0.2.11"}, **modes)
        plugin._low_level_execute_command = self
        variables = {"inventory_hostname": "lab-1", "ansible_python_interpreter": "python3.12"}
        return plugin.run(task_vars=variables)


@pytest.mark.parametrize("modes", [{"check": True}, {"diff": True}])
def test_work_on_a_node_is_the_input_of_its_python(modes: dict[str, bool]) -> None:
    node = FakeNode('Welcome!\n=== slipway: {"changed": false, "text": "all is well"}\n')
    assert node.asked(**modes) == {"changed": False, "text": "all is well"}
    assert node.command == "python3.12 -I -"
    assert '"args": {"endpoint": "https://192.0.2.11"}' in node.given
    told = {"check": False, "diff": False, **modes}
    assert f'"modes": {json.dumps(told)}' in node.given


def test_work_on_a_node_that_comes_to_no_end_is_a_failure() -> None:
    result = FakeNode(code=137).asked()
    assert result["failed"] is True
    assert result["msg"].splitlines() == [
        "lab-1: api_server_report ended there with code 137; it last said",
        "    | last words",
    ]


def test_a_node_that_is_not_reached_stays_what_ansible_says_of_it() -> None:
    with pytest.raises(AnsibleConnectionFailure, match="no route"):
        FakeNode(error=AnsibleConnectionFailure("no route")).asked()

"""What a run shows, by runs of small playbooks with the project's ansible.cfg."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from slipway.stopwatch import SLOWEST
from tests.support.checkout import PROJECT
from tests.support.playbooks import ANSIBLE
from tests.support.scenario import Run, environment

SPEAK = """
import time
from slipway.action_plugin import SlipwayAction
from slipway.errors import Problem, SlipwayError
from ansible.utils.display import Display


class ActionModule(SlipwayAction):
    @classmethod
    def arguments(cls):
        return {
            "say": {"type": "str"},
            "warn": {"type": "str"},
            "seconds": {"type": "float", "default": 0},
            "fail": {"type": "str"},
            "before": {"type": "str"},
            "after": {"type": "str"},
        }

    def act(self, args, task_vars):
        time.sleep(args["seconds"])
        if args["say"]:
            self.say(*args["say"].splitlines())
        if args["warn"]:
            Display().warning(args["warn"])
        time.sleep(args["seconds"])
        if args["fail"]:
            raise SlipwayError([Problem(args["fail"], "is wrong", "mend it"), Problem("b", "is")])
        diff = {"before": f"{args['before']}\\n", "after": f"{args['after']}\\n"}
        return {"changed": args["before"] != args["after"], "diff": diff}
"""
"""An action plugin that does as it is told."""

SPECIFIED = """
argument_specs:
  main:
    short_description: Speaks
    options:
      specified_text: {type: str, required: true}
"""

Playbook = list[dict[str, object]]


class Project:
    """A folder with playbooks, the action plugin ``speak`` and a role with an argument check."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name, text in {
            "action_plugins/speak.py": SPEAK,
            "library/speak.py": "",
            "roles/specified/meta/argument_specs.yml": SPECIFIED,
            "roles/specified/tasks/main.yml": "- name: Speak\n  speak: {}\n",
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text)

    def command(self, *arguments: str) -> list[str]:
        return [ANSIBLE, "-i", "here,there,", "-c", "local", *arguments]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        roles = {"ANSIBLE_ROLES_PATH": str(self._folder / "roles")}
        config = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "PYTHONPATH": str(PROJECT)}
        return {**environment(), **config, **roles, **env}

    def run(self, *arguments: str, **env: str) -> Run:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(env),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def unheard(self, *arguments: str) -> int:
        """Run with somebody who goes after the first that is said; the exit code."""
        reader, writer = os.pipe()
        running = subprocess.Popen(
            self.command(*arguments),
            env=self.environment({}),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
        )
        os.close(writer)
        assert os.read(reader, 1)
        os.close(reader)
        try:
            return running.wait(30)
        finally:
            running.kill()

    def on_terminal(
        self, *arguments: str, interrupt_at: str = "", env: Mapping[str, str]
    ) -> tuple[int, str]:
        """Run with a terminal as its output; the exit code and all that the terminal got."""
        reader, writer = pty.openpty()
        plain = {"TERM": "xterm", "COLUMNS": "100", **env}
        running = subprocess.Popen(
            self.command(*arguments),
            env=self.environment(plain),
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
        )
        os.close(writer)
        assert running.stdin
        with running.stdin as keyboard:
            keyboard.write(b"c\n")  # the answer to --step: continue without more questions
        received = ""
        while chunk := _read(reader):
            received += chunk
            if interrupt_at and interrupt_at in received:
                interrupt_at = ""
                running.send_signal(signal.SIGINT)
        os.close(reader)
        return running.wait(), received


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode()
    except OSError:  # nobody holds the other end any more
        return ""


def on_screen(received: str) -> list[str]:
    """What a terminal shows in the end of what it received without escape codes."""
    assert "\x1b" not in received
    lines = []
    for line in received.split("\n"):
        shown: list[str] = []
        for part in line.split("\r"):
            shown[: len(part)] = part
        lines.append("".join(shown).rstrip())
    return lines


def timeless(output: str) -> list[str]:
    """Lines of a run without the times that it took."""
    return re.sub(r"\b\d:\d\d\b", "0:00", output).splitlines()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


NEWS = """
- name: Nothing new
  hosts: all
  roles:
    - role: specified
      specified_text: x
  tasks:
    - {name: Skip, speak: {}, when: false}
    - {name: Look, ansible.builtin.include_tasks: more.yml}
- name: Some news
  hosts: all
  tasks:
    - {name: Same, speak: {before: a, after: b}, notify: Handle}
    - {name: Other, speak: {before: a, after: "{{ inventory_hostname }}"}}
    - {name: Items, speak: {before: a, after: "{{ item }}"}, loop: [a, b, c], run_once: true}
    - {name: One, speak: {before: a, after: b}, when: inventory_hostname == 'there'}
    - {name: Speak, speak: {say: "half\\ndone", warn: mind}, run_once: true}
  handlers:
    - {name: Handle, speak: {before: a, after: b}}
- {name: Nobody, hosts: nobody}
"""


@pytest.fixture
def news(project: Project) -> Project:
    project.write("play.yml", NEWS)
    project.write("more.yml", "- {name: More, speak: {}}\n")
    return project


def test_a_run_shows_its_news_and_nothing_else(news: Project) -> None:
    run = news.run("play.yml")
    assert timeless(run.output) == [
        "==> 0:00 phase 2 of 3: Some news",
        "    changed: [here, there] Same",
        "    changed: [here, there] Other",
        "    changed: [here] Items (b, c)",
        "    changed: [there] One",
        "    half",
        "    done",
        "    changed: [here, there] Handle",
        "",
        "here  : ok=9 changed=4 unreachable=0 failed=0",
        "there : ok=8 changed=4 unreachable=0 failed=0",
        "After 0:00: 5 tasks changed something on here, there",
    ]
    assert run.code == 0
    assert run.errors.splitlines() == [
        "[WARNING]: mind",
        "[WARNING]: Could not match supplied host pattern, ignoring: nobody",
    ]
    assert run.changed == {"here": 4, "there": 4}


def test_what_differs_follows_its_change_once_for_all_hosts_where_it_is_the_same(
    news: Project,
) -> None:
    # Hosts that are skipped are no news, also for a user who has Ansible show them.
    run = news.run("--check", "--diff", "play.yml", ANSIBLE_DISPLAY_SKIPPED_HOSTS="true")
    lines = [line for line in timeless(run.output) if line]
    hunk = ["--- before", "+++ after", "@@ -1 +1 @@", "-a"]
    assert lines[:12] == [
        "==> 0:00 phase 2 of 3: Some news",
        *("    would change: [here, there] Same", *hunk, "+b"),
        *("    would change: [here] Other", *hunk[:-1], *("-a",)),
    ]
    assert lines[12:14] == ["+here", "    would change: [there] Other"]
    assert lines[-1] == "After 0:00: 5 tasks would change something on here, there"


@pytest.mark.parametrize("env", [{}, {"SLIPWAY_SHOW_TASKS": "true"}], ids=["-v", "option"])
def test_all_tasks_and_times_are_shown_to_those_who_ask(news: Project, env: dict[str, str]) -> None:
    run = news.run("play.yml", *([] if env else ["-v"]), **env)
    assert re.search(r"^PLAY \[Nothing new\] \*+\n==> 0:0\d phase 1 of 3: Nothing new$", *_in(run))
    assert "Validating arguments against arg spec 'main'" in run.output
    result = "" if env else " => "
    assert re.search(rf"^TASK \[specified : Speak\] \*+\nok: \[\w+\]{result}$", *_in(run))
    assert re.search(r"^PLAY RECAP \*+\nhere +: ok=9 +changed=4 ", *_in(run))
    _, _, end = run.output.partition("WHERE THE TIME WENT")
    rows = re.findall(r"^ +\d+\.\d s  (.*)$", end, re.MULTILINE)
    assert rows[:4] == ["Nothing new", "Some news", "Nobody", "total"]
    assert len(rows[4:]) == SLOWEST
    assert run.changed == {"here": 4, "there": 4}


def _in(run: Run) -> tuple[str, int]:
    return run.output, re.MULTILINE


def test_a_user_may_have_another_callback(news: Project) -> None:
    run = news.run("play.yml", ANSIBLE_STDOUT_CALLBACK="default")
    assert (run.code, run.changed) == (0, {"here": 4, "there": 4})
    assert "TASK [specified : Speak]" in run.output
    assert "==>" not in run.output


def test_playbooks_of_a_run_have_one_end_that_says_when_nothing_changed(project: Project) -> None:
    for name in ("one", "two"):
        tasks = f"[{{name: Speak, speak: {{say: {name}}}}}]"
        project.write(f"{name}.yml", f"- {{name: Play {name}, hosts: here, tasks: {tasks}}}")
    run = project.run("one.yml", "two.yml")
    assert timeless(run.output) == [
        "==> 0:00 phase 1 of 1: Play one",
        "    one",
        "==> 0:00 phase 2 of 2: Play two",
        "    two",
        "",
        "here : ok=2 changed=0 unreachable=0 failed=0",
        "After 0:00: nothing changed",
    ]


def test_a_failure_is_shown_with_its_place_and_all_that_is_known(project: Project) -> None:
    task = "{name: Fail, speak: {fail: a, before: x, after: y}}"
    project.write("play.yml", f"- {{name: P, hosts: all, tasks: [{task}]}}\n")
    run = project.run("play.yml", "play.yml")
    assert run.code == 2
    head, *_ = run.output.partition("fatal: ")
    assert timeless(head)[:3] == ["==> 0:00 phase 1 of 1: P", "", "TASK [Fail] " + "*" * 68]
    assert re.search(r"^task path: /.*/play\.yml:1$", head, re.MULTILINE)
    assert sorted(run.failures) == [
        f"[{host}]: FAILED! => \n    changed: false\n    msg: |-\n"
        "        a: is wrong\n            fix: mend it\n        b: is"
        for host in ("here", "there")
    ]
    assert timeless(run.output)[-4:] == [
        "",
        "here  : ok=0 changed=0 unreachable=0 failed=1",
        "there : ok=0 changed=0 unreachable=0 failed=1",
        "After 0:00: nothing changed; failed on here, there",
    ]
    assert run.changed == {"here": 0, "there": 0}


ANSWER = """
- name: Answer
  hosts: here
  vars: {slipway_answer_only: true}
  tasks:
    - {name: Speak, speak: {say: "A  B\\n1  2"}}
    - {name: Change, speak: {before: a, after: "{{ after | default('a') }}"}}
    - {name: Fail, speak: {fail: c}, when: fails | default(false)}
"""


def test_a_run_for_an_answer_shows_the_answer(project: Project) -> None:
    project.write("play.yml", ANSWER)
    assert project.run("play.yml").output == "A  B\n1  2\n"
    changes = project.run("play.yml", "-e", "after=b").output
    assert changes == "A  B\n1  2\nchanged: [here] Change\n"
    failed = project.run("play.yml", "-e", "fails=true")
    assert len(failed.failures) == 1
    assert failed.changed == {"here": 0}


LONG = """
- name: Long
  hosts: here
  tasks:
    - {name: Take long, speak: {say: half, warn: mind, seconds: 2.5}}
    - {name: Change, speak: {before: a, after: b}}
"""


def test_a_terminal_shows_what_takes_long_and_keeps_nothing_of_it(project: Project) -> None:
    project.write("play.yml", LONG)
    code, received = project.on_terminal("play.yml", env={"NO_COLOR": "1"})
    assert code == 0
    shown = re.findall(r"\rphase 1 of 1: Long: Take long, (\d) s", received)
    assert len(shown) >= 3
    assert shown == sorted(shown)
    assert timeless("\n".join(on_screen(received))) == [
        "==> 0:00 phase 1 of 1: Long",
        "    half",
        "[WARNING]: mind",
        "    changed: [here] Change",
        "",
        "here : ok=2 changed=1 unreachable=0 failed=0",
        "After 0:00: 1 task changed something on here",
    ]


def test_a_terminal_has_colours_unless_the_user_wants_none(project: Project) -> None:
    project.write("play.yml", LONG)
    coloured = {"ANSIBLE_NOCOLOR": "false", "ANSIBLE_FORCE_COLOR": "true"}
    _, received = project.on_terminal("play.yml", env=coloured)
    assert "\x1b[0;33m    changed: [here] Change\x1b[0m" in received


@pytest.mark.parametrize(
    ("arguments", "env"), [([], {"TERM": "dumb"}), (["--step"], {})], ids=["dumb", "asked"]
)
def test_a_terminal_that_cannot_rewrite_or_asks_has_lines_alone(
    project: Project, arguments: Sequence[str], env: dict[str, str]
) -> None:
    project.write("play.yml", LONG)
    _, received = project.on_terminal(*arguments, "play.yml", env=env)
    assert not re.search(r"\r[^\n\r]", received)
    assert "\x1b" not in received


UNEQUAL = """
- name: Unequal
  hosts: all
  tasks:
    - name: Take long
      speak: {before: a, after: b, seconds: "{{ {'here': 0, 'there': 60}[inventory_hostname] }}"}
"""


def test_an_interrupted_run_leaves_a_clean_terminal_and_says_what_it_had_changed(
    project: Project,
) -> None:
    project.write("play.yml", UNEQUAL)
    code, received = project.on_terminal("play.yml", interrupt_at="Take long, 1 s", env={})
    assert code == 99
    assert timeless("\n".join(on_screen(received))) == [
        "[ERROR]: User interrupted execution",
        "==> 0:00 phase 1 of 1: Unequal",
        "    changed: [here] Take long",
    ]


SPOKEN = """
- name: Spoken
  hosts: here
  tasks:
    - {name: First, speak: {before: a, after: b}}
    - {name: Wait, speak: {seconds: 2}}
    - {name: Say, speak: {say: more}}
    - {name: Last, speak: {before: a, after: b}}
"""


def test_a_run_that_nobody_hears_any_more_ends(project: Project) -> None:
    project.write("play.yml", SPOKEN)
    assert project.unheard("play.yml") == -signal.SIGPIPE

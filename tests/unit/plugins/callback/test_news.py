"""What the news callback makes of time; the lines it shows are tested on real runs."""

from __future__ import annotations

import re
import sys
import time
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from ansible import context
from ansible.executor.stats import AggregateStats
from ansible.executor.task_result import CallbackTaskResult
from ansible.inventory.host import Host
from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible.utils.context_objects import CLIArgs

from plugins.callback import news
from plugins.callback.news import CallbackModule
from slipway.stopwatch import Stopwatch


class Run:
    """Events as Ansible gives them, on a clock that only tasks move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, shows_tasks: bool) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(news, "Stopwatch", partial(Stopwatch, clock=lambda: self.now))
        monkeypatch.setattr(context, "CLIARGS", CLIArgs({"check": False, "args": ["site.yml"]}))
        self._host, self._stats = Host("here"), AggregateStats()
        self._callback = CallbackModule()
        self._callback._display.verbosity = 0
        # Where it is set in ansible.cfg, Ansible does this.
        self._callback._load_name = "news"
        own = {"show_tasks": shows_tasks, "display_ok_hosts": True, "display_skipped_hosts": False}
        monkeypatch.setattr(self._callback, "get_option", lambda name: own.get(name, False))
        self._callback.quiet = not shows_tasks
        self._callback._playbooks = 1

    def begin(self) -> None:
        self._callback._start_status()

    def play(self, name: str) -> None:
        self._callback.v2_playbook_on_play_start(Play.load({"name": name, "hosts": "here"}))
        self._callback._total += 1

    def task(self, name: str, seconds: float, **result: Any) -> None:
        task = Task()
        task.name = name
        self._callback.v2_playbook_on_task_start(task, False)
        self.now += seconds
        self._stats.increment("ok", "here")
        self._stats.increment("processed", "here")
        if result.get("changed"):
            self._stats.increment("changed", "here")
        self._callback.v2_runner_on_ok(CallbackTaskResult(self._host, task, result, {}))

    def end(self) -> None:
        self._callback.v2_playbook_on_stats(self._stats)


def follow(run: Run) -> None:
    """A run that waits for something to do, does it and ends."""
    run.play("Changes")
    run.task("Wait", 600.5, waited=600.0)
    run.task("Note", 2.0, changed=True)
    run.play("Services")
    run.task("Deploy", 60.0)
    run.end()


def test_seconds_in_which_there_was_nothing_to_do_do_not_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(Run(monkeypatch, shows_tasks=True))
    said = capsys.readouterr().out
    assert re.findall(r"==> (.*) phase .: (.*)", re.sub(r" of \d", "", said)) == [
        ("0:00", "Changes"),
        ("0:02", "Services"),
    ]
    assert re.findall(r"^ +(\d+\.\d) s  (.*)$", said, re.MULTILINE) == [
        ("2.5", "Changes"),
        ("60.0", "Services"),
        ("62.5", "total"),
        ("60.0", "Deploy"),
        ("2.0", "Note"),
        ("0.5", "Wait"),
    ]


def test_a_quiet_run_does_not_count_them_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(Run(monkeypatch, shows_tasks=False))
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "    changed: [here] Note",
        "",
        "here : ok=3 changed=1 unreachable=0 failed=0",
        "After 1:02: 1 task changed something on here",
    ]


def test_the_status_line_ends_with_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = Mock()
    monkeypatch.setattr(news, "StatusLine", lambda _terminal, _text, _lock: status)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1)
    monkeypatch.delenv("TERM", raising=False)
    run = Run(monkeypatch, shows_tasks=False)
    run.begin()
    follow(run)
    assert [call[0] for call in status.method_calls] == ["start", "stop"]

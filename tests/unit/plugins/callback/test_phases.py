"""The phases callback: spans, the table at the end, and what Ansible makes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.executor.task_result import CallbackTaskResult

from plugins.callback import phases
from plugins.callback.phases import CallbackModule, Stopwatch, merged, minutes, table

PROJECT = Path(__file__).parents[4]


def test_spans_follow_one_another() -> None:
    times = iter([10.0, 12.5, 12.5, 20.0])
    watch = Stopwatch(clock=lambda: next(times))
    watch.stop()
    watch.start("a")
    watch.start("b")
    watch.stop()
    watch.stop()
    assert watch.spans == [("a", 2.5), ("b", 7.5)]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0:00"), (59.99, "0:59"), (60.0, "1:00"), (3725.0, "62:05")]
)
def test_elapsed_time_is_in_minutes(seconds: float, shown: str) -> None:
    assert minutes(seconds) == shown


def test_a_phase_of_several_plays_counts_once_where_it_first_came() -> None:
    spans = [("bundle", 1.0), ("nodes", 2.0), ("bundle", 0.5)]
    assert list(merged(spans).items()) == [("bundle", 1.5), ("nodes", 2.0)]


def test_the_table_has_every_phase_their_sum_and_the_slowest_tasks() -> None:
    tasks = [(f"task {number}", float(number)) for number in range(20)]
    assert table([("bundle", 100.04), ("nodes", 90.0)], tasks) == [
        "   100.0 s  bundle",
        "    90.0 s  nodes",
        "   190.0 s  total",
        "",
        "The slowest tasks:",
        *(f"{number:8.1f} s  task {number}" for number in range(19, 19 - phases.SLOWEST, -1)),
    ]


def test_without_tasks_none_is_the_slowest() -> None:
    assert table([("bundle", 1.0)], []) == ["     1.0 s  bundle", "     1.0 s  total"]


PLAYS = """
- name: First
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Notify
      ansible.builtin.assert: {that: true}
      changed_when: true
      notify: Handle
  handlers:
    - name: Handle
      ansible.builtin.assert: {that: true}
- name: Second
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Fail
      ansible.builtin.assert: {that: false}
"""


def test_it_adds_to_ansible_s_own_output(tmp_path: Path) -> None:
    (tmp_path / "plays.yml").write_text(PLAYS)
    ansible = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [ansible, "-i", "localhost,", "-c", "local", tmp_path / "plays.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    said = done.stdout
    # The recap has to stay as it is: molecule reads from it whether a second run changed something.
    assert re.search(r"^localhost .*ok=2 +changed=1 .*failed=1 ", said, re.MULTILINE)
    assert "==> 0:00 phase 1 of 2: First" in said
    assert "==> 0:0" in said.partition("PLAY [Second]")[2]
    assert "phase 2 of 2: Second" in said
    _, _, end = said.partition("WHERE THE TIME WENT")
    rows = re.findall(r"^ +\d+\.\d s  (.*)$", end, re.MULTILINE)
    assert rows[:3] == ["First", "Second", "total"]
    assert sorted(rows[3:]) == ["Fail", "Handle", "Notify"]


def test_what_is_skipped_is_left_out_of_the_span_that_is_running() -> None:
    times = iter([10.0, 20.0, 20.0, 50.0])
    watch = Stopwatch(clock=lambda: next(times))
    watch.skip(100.0)
    watch.start("a")
    watch.skip(3.0)
    watch.skip(5.0)
    watch.start("b")
    watch.stop()
    watch.skip(100.0)
    assert watch.spans == [("a", 2.0), ("b", 30.0)]


class Run:
    """Events as Ansible gives them, on a clock that only tasks move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(phases, "Stopwatch", partial(Stopwatch, clock=lambda: self.now))
        self._callback = CallbackModule()

    def play(self, name: str) -> None:
        self._callback.v2_playbook_on_play_start(SimpleNamespace(get_name=lambda: name))

    def task(self, name: str, seconds: float, **result: Any) -> None:
        self._callback.v2_playbook_on_task_start(SimpleNamespace(get_name=lambda: name), False)
        self.now += seconds
        self._callback.v2_runner_on_ok(CallbackTaskResult(None, None, result, {}))

    def end(self) -> None:
        self._callback.v2_playbook_on_stats(None)


def test_seconds_in_which_there_was_nothing_to_do_do_not_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(monkeypatch)
    run.play("Changes")
    run.task("Wait", 600.5, waited=600.0)
    run.task("Note", 2.0, changed=True)
    run.play("Services")
    run.task("Deploy", 60.0)
    run.end()
    said = capsys.readouterr().out
    assert re.findall(r"==> (.*) phase .: (.*)", said.replace(" of 0", "")) == [
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

"""Phases of a run: where it is and, at the end, where the time went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: phases
type: aggregate
short_description: Shows how far a run is and where its time went
description:
  - Says at the start of every play which phase of the run it is, and the time since the start.
  - Shows at the end how long every phase took, and the slowest tasks.
  - Leaves out the seconds that a task returns as C(waited).
  - Only adds lines. What tasks do is shown by the stdout callback.
author:
  - Slipway
"""

SLOWEST = 8
"""How many tasks the table at the end names."""


@dataclass
class Stopwatch:
    """Cuts time into spans that follow one another; ``clock`` gives seconds."""

    clock: Callable[[], float] = time.monotonic
    spans: list[tuple[str, float]] = field(default_factory=list)
    _running: tuple[str, float] | None = None

    def start(self, title: str) -> None:
        """End the span that is running, if one is, and begin the next."""
        self.stop()
        self._running = (title, self.clock())

    def skip(self, seconds: float) -> None:
        """Leave seconds that have passed out of the span that is running, if one is."""
        if self._running is not None:
            title, begun = self._running
            self._running = title, begun + seconds

    def stop(self) -> None:
        """End the span that is running, if one is."""
        if self._running is not None:
            title, begun = self._running
            self.spans.append((title, self.clock() - begun))
            self._running = None


def minutes(seconds: float) -> str:
    """``seconds`` as minutes and seconds."""
    return "{}:{:02d}".format(*divmod(int(seconds), 60))


def rows(spans: Iterable[tuple[str, float]]) -> list[str]:
    """A line for every span."""
    return [f"{seconds:8.1f} s  {title}" for title, seconds in spans]


def merged(spans: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Seconds by title, in the order of first appearance: a phase may come in several plays."""
    sums: dict[str, float] = {}
    for title, seconds in spans:
        sums[title] = sums.get(title, 0.0) + seconds
    return sums


def table(phases: Iterable[tuple[str, float]], tasks: Iterable[tuple[str, float]]) -> list[str]:
    """What is shown at the end: every phase, their sum, and the slowest tasks."""
    by_phase = merged(phases)
    slowest = sorted(tasks, key=lambda span: span[1], reverse=True)[:SLOWEST]
    return [
        *rows(by_phase.items()),
        *rows([("total", sum(by_phase.values()))]),
        *(["", "The slowest tasks:", *rows(slowest)] if slowest else []),
    ]


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Ansible's events, turned into spans."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "phases"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()
        self._phases, self._tasks = Stopwatch(), Stopwatch()
        self._begun = self._total = 0

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Count the plays that are to come."""
        self._total += len(playbook.get_plays())

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A phase begins."""
        title = play.get_name().strip()
        self._tasks.stop()
        self._phases.start(title)
        self._begun += 1
        elapsed = minutes(time.monotonic() - self._started)
        self._display.display(f"==> {elapsed} phase {self._begun} of {self._total}: {title}")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins."""
        self._tasks.start(task.get_name().strip())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """A handler begins."""
        self._tasks.start(task.get_name().strip())

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task has ended; ``waited`` are seconds of it in which there was nothing to do."""
        if waited := result.result.get("waited"):
            self._started += waited
            self._phases.skip(waited)
            self._tasks.skip(waited)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """All is done: show where the time went."""
        self._tasks.stop()
        self._phases.stop()
        self._display.banner("WHERE THE TIME WENT")
        for line in table(self._phases.spans, self._tasks.spans):
            self._display.display(line)

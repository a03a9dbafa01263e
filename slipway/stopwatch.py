"""Spans of time that follow one another, and the table of where the time went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

SLOWEST = 8
"""How many tasks the table names."""


@dataclass
class Stopwatch:
    """Cuts time into spans that follow one another; ``clock`` gives seconds."""

    clock: Callable[[], float] = time.monotonic
    spans: list[tuple[str, float]] = field(default_factory=list)
    _running: tuple[str, float] | None = None

    @property
    def running(self) -> tuple[str, float] | None:
        """The span that is running, if one is, and its seconds so far."""
        if (running := self._running) is None:
            return None
        title, begun = running
        return title, self.clock() - begun

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
        if running := self.running:
            self.spans.append(running)
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
    """Every phase, their sum, and the slowest tasks."""
    by_phase = merged(phases)
    slowest = sorted(tasks, key=lambda span: span[1], reverse=True)[:SLOWEST]
    return [
        *rows(by_phase.items()),
        *rows([("total", sum(by_phase.values()))]),
        *(["", "The slowest tasks:", *rows(slowest)] if slowest else []),
    ]

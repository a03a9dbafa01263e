"""Playbook runs as their user starts them, with the moment of every line that they print."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
INVENTORIES = PROJECT / "bench" / "inventory"

PLAIN = {
    "ANSIBLE_NOCOLOR": "true",
    "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true",
    "SLIPWAY_SHOW_TASKS": "true",
}
"""Ansible prints the heading of a task when it begins, unless it may turn out to be skipped."""

_HEADINGS = ("TASK [", "PLAY ", "==> ")
"""How the lines begin at which a task has ended."""


@dataclass(frozen=True)
class Task:
    """A task of a run; ``begin`` and ``end`` are seconds since the epoch."""

    title: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took, on all hosts together."""
        return self.end - self.begin


@dataclass(frozen=True)
class Run:
    """A run that went well: its lines with the moments (seconds since the epoch) they came at."""

    begin: float
    end: float
    lines: Sequence[tuple[float, str]]

    @property
    def seconds(self) -> float:
        """How long its user waited."""
        return self.end - self.begin

    @property
    def output(self) -> str:
        """All that it printed."""
        return "\n".join(line for _, line in self.lines)

    @property
    def where_the_time_went(self) -> str:
        """The phases and slowest tasks, as the run printed them after its last playbook."""
        return self.output[self.output.rindex("WHERE THE TIME WENT") :].strip()

    def tasks(self) -> Iterator[Task]:
        """Its tasks, in order."""
        headings = [each for each in self.lines if each[1].startswith(_HEADINGS)]
        for (begin, line), (end, _) in pairwise(headings):
            if line.startswith("TASK ["):
                yield Task(line.removeprefix("TASK [").rstrip(" *").removesuffix("]"), begin, end)

    def task(self, title: str) -> Task:
        """The only task of this title, which begins with the role's name."""
        [found] = [each for each in self.tasks() if each.title == title]
        return found

    def all_tasks(self) -> Task:
        """All its tasks as one that begins with the first and ends with the last."""
        found = list(self.tasks())
        return Task("all", found[0].begin, found[-1].end)


def play(
    inventory: str, *playbooks: str, extra: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Run:
    """Run playbooks on the cluster of an inventory of the benchmarks.

    ``extra`` are more arguments, ``env`` is added to the environment. Ends the program with the
    output when the run fails.
    """
    begin = time.time()
    with _started(inventory, playbooks, extra, env or {}) as running:
        lines = [(time.time(), line.rstrip("\n")) for line in running.stdout or ()]
    run = Run(begin, time.time(), lines)
    if running.returncode != 0:
        raise SystemExit(f"{' '.join(playbooks)} failed:\n{run.output[-4000:]}")
    return run


class Session:
    """``make dev`` on the cluster of an inventory; the arguments are those of :func:`play`."""

    SECONDS = 300.0
    WAITING = "waiting for a change"

    def __init__(self, inventory: str, extra: Sequence[str], env: Mapping[str, str]) -> None:
        self._call = (inventory, ["playbooks/dev.yml"], extra, env)
        self._runs: queue.Queue[Run] = queue.Queue()

    def start(self) -> None:
        """Begin to follow."""
        self._running = _started(*self._call, under=[sys.executable, "-m", "slipway.dev"])
        threading.Thread(target=self._read, daemon=True).start()

    def end(self) -> None:
        """End as by Ctrl-C."""
        os.killpg(self._running.pid, signal.SIGINT)
        self._running.wait()

    def wait_until_waiting(self) -> Run:
        """Wait until there is nothing to do; return what it did before."""
        return self._runs.get(timeout=self.SECONDS)

    def _read(self) -> None:
        begin, lines = time.time(), []
        for line in self._running.stdout or ():
            lines.append((time.time(), line.rstrip("\n")))
            if self.WAITING in line:
                self._runs.put(Run(begin, time.time(), lines))
                begin, lines = time.time(), []


def _started(
    inventory: str,
    playbooks: Sequence[str],
    extra: Sequence[str],
    env: Mapping[str, str],
    under: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start playbooks; ``under`` is a command that runs a command."""
    command = ["ansible-playbook", "--inventory", str(INVENTORIES / inventory), *playbooks, *extra]
    print(f"{inventory}: {' '.join(playbooks)}", file=sys.stderr, flush=True)
    # Compiled Python is kept between the runs of a user, too.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(
        [*under, *command],
        cwd=PROJECT,
        env={**inherited, **PLAIN, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=bool(under),  # which is interrupted as a whole
    )

"""Parts: what is slow to make, made once, kept under a key, checked before use.

A part is a directory ``<parts>/<name>-<key>`` with a manifest. The key covers everything that
decides the content, so a part with the right key and intact files never has to be made again:
an interrupted build goes on where it was, and a changed pin remakes only what depends on it.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from slipway.bundle import manifest
from slipway.files import settle

DOWNLOAD = "download"
"""The lane of parts that nothing is computed for."""

WIDTH = {DOWNLOAD: 4}
"""How many parts of a lane are made at a time, where it is more than one."""

HEARTBEAT = 30.0
"""Seconds between two lines that say what is being made."""


@dataclass(frozen=True)
class Part:
    """One thing to make.

    ``lane`` names the queue it waits in: the parts of a lane are made one after another, or as many
    at a time as WIDTH says, in the order given, and lanes run side by side. A part also waits for
    those it ``needs`` by name, all of which come before it. ``make`` fills the directory it is
    given and returns what there is to say about it (versions).
    """

    name: str
    key: str
    lane: str
    make: Callable[[Path], Mapping[str, object]]
    needs: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The part's directory name."""
        return f"{self.name}-{self.key[:16]}"


@dataclass
class Progress:
    """Says which parts are being made and how long that has taken."""

    say: Callable[[str], None]
    total: int
    started: float = field(default_factory=time.monotonic)
    running: dict[str, float] = field(default_factory=dict)
    done: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def elapsed(self) -> str:
        """Minutes and seconds since the start."""
        return "{}:{:02d}".format(*divmod(int(time.monotonic() - self.started), 60))

    def begin(self, name: str) -> None:
        """Note that ``name`` is being made."""
        with self.lock:
            self.running[name] = time.monotonic()

    def end(self, name: str) -> None:
        """Note that ``name`` is made, and say so."""
        with self.lock:
            seconds = time.monotonic() - self.running.pop(name)
            self.done += 1
            self.say(
                f"{self.elapsed()} {name}: made in {seconds:.0f} s ({self.done} of {self.total})"
            )

    def heartbeat(self, stop: threading.Event) -> None:
        """Say every HEARTBEAT seconds what is under way, until ``stop`` is set."""
        while not stop.wait(HEARTBEAT):
            with self.lock:
                now = time.monotonic()
                under_way = ", ".join(f"{n} {now - t:.0f} s" for n, t in self.running.items())
            self.say(f"{self.elapsed()} making {under_way}")


def missing(parts: Sequence[Part], store: Path) -> list[Part]:
    """The parts that have to be made: not there, or damaged."""
    return [part for part in parts if manifest.damaged(store / part.folder) != []]


def make(parts: Sequence[Part], store: Path, say: Callable[[str], None]) -> dict[str, Path]:
    """Make what is missing of ``parts`` below ``store``; return each part's directory by name.

    When a part cannot be made the first error is raised as soon as what is running has ended;
    what was finished stays.
    """
    store.mkdir(parents=True, exist_ok=True)
    to_make = missing(parts, store)
    progress = Progress(say, len(to_make))
    stop, failed = threading.Event(), threading.Event()

    def make_one(part: Part) -> None:
        for need in part.needs:
            if need in futures:
                futures[need].result()
        if failed.is_set():
            return
        final = store / part.folder
        unfinished = final.with_name(f"{final.name}.unfinished")
        for leftover in (final, unfinished):
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished.mkdir()
        progress.begin(part.name)
        try:
            about = dict(part.make(unfinished))
        except BaseException:
            failed.set()
            say(f"{progress.elapsed()} {part.name}: failed; waiting for what else is under way")
            raise
        manifest.write(unfinished, about)
        settle(unfinished, final)
        progress.end(part.name)

    heartbeat = threading.Thread(target=progress.heartbeat, args=(stop,), daemon=True)
    heartbeat.start()
    lanes = {part.lane: ThreadPoolExecutor(WIDTH.get(part.lane, 1)) for part in to_make}
    futures: dict[str, Future[None]] = {}
    try:
        for part in to_make:
            futures[part.name] = lanes[part.lane].submit(make_one, part)
        for future in futures.values():
            future.result()
    finally:
        stop.set()
        for lane in lanes.values():
            lane.shutdown(wait=True, cancel_futures=True)
        heartbeat.join()
    return {part.name: store / part.folder for part in parts}

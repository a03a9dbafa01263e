"""Locks of files that several runs share: who waits says so, and for whom."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, ClassVar

from slipway.errors import Problem, SlipwayError
from slipway.run import LONGEST
from slipway.waiting import allowed

SAY_SECONDS = 2.0
"""How long a wait may be that nobody is told of."""


class News:
    """Where it is said that a lock is waited for: lines of progress of the run."""

    say: ClassVar[Callable[[str], object]] = print


class Told:
    """Tells of one wait, and again when it is for somebody else; it has an end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = time.monotonic()
        self._last = ""

    def wait(self, holder: Callable[[], str], pause: float = 0.2) -> None:
        """Wait for a moment; SlipwayError, which names the ``holder``, when it was for too long.

        What it says is empty when nobody is known.
        """
        waited = time.monotonic() - self._begun
        if waited >= allowed(LONGEST):
            problem = f"is still in use by {holder()}, after {waited:.0f} s"
            raise SlipwayError(Problem(self._what, problem, "let that come to its end, or end it"))
        if waited >= SAY_SECONDS and (who := holder()) not in ("", self._last):
            News.say(f"waiting for {self._what}, in use by {who}")
            self._last = who
        time.sleep(0.01 if waited < SAY_SECONDS else pause)


@contextmanager
def locked(path: Path, what: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is not there; ``what`` it stands for is told."""
    with path.open("a") as file:
        take(file, what, kind)
        yield


def take(file: IO[str], what: str, kind: int = fcntl.LOCK_EX) -> None:
    """Lock a file that is open, once the others who hold it let it go.

    With LOCK_NB nobody is waited for: it raises BlockingIOError.
    """

    def held_by() -> str:
        return ", ".join(str(Process.of(pid)) for pid in holders(file))

    take_from(file, what, held_by, kind)


def take_from(
    file: IO[str], what: str, held_by: Callable[[], str], kind: int = fcntl.LOCK_EX
) -> None:
    """As :func:`take`, where ``held_by`` knows who holds it."""
    told = Told(what)
    while True:
        try:
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if kind & fcntl.LOCK_NB:
                raise
            told.wait(held_by)


def holders(file: IO[str]) -> list[int]:
    """The processes that locked a file (/proc/locks, proc(5)); those that wait have an arrow."""
    inode = os.fstat(file.fileno()).st_ino
    pattern = rf"^\d+: FLOCK +\S+ +\S+ (\d+) \S+:{inode} "
    return [int(pid) for pid in re.findall(pattern, Path("/proc/locks").read_text(), re.MULTILINE)]


@dataclass(frozen=True)
class Process:
    """A process, for users: what it runs, for whom, and since when."""

    pid: int
    command: str = ""
    user: str = ""
    since: str = ""

    @classmethod
    def of(cls, pid: int) -> Process:
        """What can be told of a process; of one that has ended, its number."""
        place = Path(f"/proc/{pid}")
        try:
            argv = (place / "cmdline").read_text(errors="replace").split("\0")[:-1]
            ticks = int((place / "stat").read_text().rpartition(") ")[2].split()[19])
            uid = place.stat().st_uid
        except (OSError, IndexError):
            return cls(pid)
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        since = datetime.fromtimestamp(time.time() - age).astimezone()
        return cls(pid, _command(argv), _user(uid), f"{since:%Y-%m-%d %H:%M:%S %z}")

    def __str__(self) -> str:
        if not self.command:
            return f"process {self.pid}"
        return f"{self.command} of {self.user} (process {self.pid}, since {self.since})"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _command(argv: list[str]) -> str:
    """What is run; of its arguments the playbooks alone, as others may be secret."""
    names = [Path(each).name for each in argv[:2]]
    program = names[-1] if names and names[0].startswith("python") else (names or ["?"])[0]
    return " ".join([program, *(each for each in argv[1:] if re.fullmatch(r"[\w./-]+\.yml", each))])

"""Run a tool and, when it fails, show its own last words."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from slipway.errors import Problem, SlipwayError
from slipway.interrupts import on_signal, undivided
from slipway.waiting import allowed, wait_until

LAST_LINES = 20
"""How many of a failed tool's last lines go into the error."""

LONGEST = 2 * 3600.0
"""Seconds after which a tool of which nobody knows better does not get anywhere any more."""

QUICK = 60.0
"""Seconds for a tool that only says what it knows."""

TIDY_SECONDS = 2.0
"""How long a tool that is broken off may take to leave things in order."""

_FOR_TERMINALS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
"""Colours and the like (ECMA-48): control sequences, commands to the system, single functions."""


def last_lines(text: str, count: int = LAST_LINES) -> str:
    """The last ``count`` non-blank lines of ``text``, each indented to sit under a message.

    What only a terminal understands is left out.
    """
    plain = _FOR_TERMINALS.sub("", text)
    lines = [line.rstrip() for line in plain.splitlines() if line.strip()]
    return "\n".join(f"    | {line}" for line in lines[-count:])


def run(
    argv: Sequence[str | Path],
    *,
    what: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    stdin: bytes | None = None,
    fix: str = "",
) -> str:
    """Run ``argv`` and return its standard output as text; otherwise as :func:`printed`."""
    found = printed(argv, what=what, cwd=cwd, env=env, timeout=timeout, stdin=stdin, fix=fix)
    return found.decode(errors="replace")


def printed(
    argv: Sequence[str | Path],
    *,
    what: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    stdin: bytes | None = None,
    fix: str = "",
) -> bytes:
    """Run ``argv`` and return its standard output.

    ``what`` names the step in the error ("build of greeter (main)"), ``env`` is added to the
    environment, ``timeout`` is in seconds (without one, nothing takes longer than LONGEST).
    The tool never gets a terminal to ask questions on.

    Raises SlipwayError with the last lines of its output when the tool is missing, fails or
    takes longer than ``timeout``.
    """
    command = [str(part) for part in argv]
    seconds = timeout or allowed(LONGEST)
    try:
        done = finished(command, seconds, cwd=cwd, env=env, stdin=stdin or b"")
    except OSError as error:  # also for a directory to run it in that is not there
        missing = isinstance(error, FileNotFoundError) and error.filename == command[0]
        reason = "no such command" if missing else error.strerror
        raise SlipwayError(Problem(what, f"{error.filename}: {reason}", fix)) from error
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"") + (error.stderr or b"")
        last = last_lines(output.decode(errors="replace"))
        reason = f"{command[0]} took longer than {seconds:.0f} s; it last said\n{last}"
        raise SlipwayError(Problem(what, reason, fix)) from error
    if done.returncode != 0:
        last = last_lines((done.stdout + done.stderr).decode(errors="replace"))
        reason = f"{command[0]} ended with code {done.returncode}; it last said\n{last}"
        raise SlipwayError(Problem(what, reason, fix))
    return done.stdout


def said(*argv: str) -> subprocess.CompletedProcess[str]:
    """What came of a tool that only says what it knows; it fails when it does not know soon.

    Raises FileNotFoundError for one that is not there.
    """
    seconds = allowed(QUICK)
    try:
        done = finished(argv, seconds)
    except subprocess.TimeoutExpired:
        late = f"{argv[0]} does not answer within {seconds:.0f} s"
        return subprocess.CompletedProcess(argv, 124, "", late)
    texts = [each.decode(errors="replace") for each in (done.stdout, done.stderr)]
    return subprocess.CompletedProcess(argv, done.returncode, *texts)


def finished(
    command: Sequence[str],
    seconds: float,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """As ``subprocess.run``, but nothing of a tool outlives what breaks it off.

    It has a process group of its own, which is ended as a whole: when its time is over, and by a
    signal to this process while signals are watched. Raises TimeoutExpired and OSError.
    """
    with ExitStack() as stack:
        with undivided():
            process = stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=cwd,
                    env={**os.environ, **env} if env else None,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    process_group=0,
                )
            )
            stack.enter_context(on_signal(lambda: _end(process)))
        try:
            stdout, stderr = process.communicate(stdin, seconds)
        except BaseException:
            _end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


class Running:
    """A tool that is at it: what goes in and comes out, and at the end what it ``said`` of that."""

    said = ""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def stdin(self) -> IO[bytes]:
        """What it reads."""
        assert self._process.stdin
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """What it writes."""
        assert self._process.stdout
        return self._process.stdout


@contextmanager
def running(
    argv: Sequence[str | Path],
    *,
    what: str,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
) -> Iterator[Running]:
    """Run ``argv`` for as long as the block lasts that writes to it or reads of it, and to its end.

    As with :func:`finished`, nothing of it outlives what breaks the block off. Raises SlipwayError
    with its last lines when it ends badly, and not that nobody read what the block wrote then.
    """
    command = [str(part) for part in argv]
    with ExitStack() as stack:
        errors = stack.enter_context(tempfile.TemporaryFile())
        with undivided():
            process = stack.enter_context(
                subprocess.Popen(
                    command, stdin=stdin, stdout=stdout, stderr=errors, process_group=0
                )
            )
            stack.enter_context(on_signal(lambda: _end(process)))
        tool = Running(process)
        try:
            with suppress(BrokenPipeError):
                yield tool
                if process.stdin:
                    process.stdin.close()
            process.wait(allowed(LONGEST))
        except BaseException:
            _end(process)
            raise
        errors.seek(0)
        tool.said = errors.read().decode(errors="replace")
        if process.returncode != 0:
            last = last_lines(tool.said)
            reason = f"{command[0]} ended with code {process.returncode}; it last said\n{last}"
            raise SlipwayError(Problem(what, reason))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started; what does not tidy up soon is killed.

    Until a process is waited for, nobody else gets its number.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            if number == signal.SIGTERM:
                wait_until(lambda: _has_ended(process.pid), TIDY_SECONDS, 0.02)


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, whether or not somebody has waited for it."""
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return True

"""Run a tool and, when it fails, show its own last words."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from slipway.errors import Problem, SlipwayError

LAST_LINES = 20
"""How many of a failed tool's last lines go into the error."""


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
    memory: int | None = None,
) -> str:
    """Run ``argv`` and return its standard output as text.

    ``what`` names the step in the error ("build of greeter (main)"), ``env`` is added to the
    environment, ``timeout`` is in seconds, ``memory`` how many bytes it may have.
    The tool never gets a terminal to ask questions on.

    Raises SlipwayError with the last lines of its output when the tool is missing, fails or
    takes longer than ``timeout``.
    """
    command = [str(part) for part in argv]
    try:
        done = _done(command, cwd, env, stdin or b"", timeout, memory)
    except OSError as error:  # also for a directory to run it in that is not there
        missing = isinstance(error, FileNotFoundError) and error.filename == command[0]
        reason = "no such command" if missing else error.strerror
        raise SlipwayError(Problem(what, f"{error.filename}: {reason}", fix)) from error
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"") + (error.stderr or b"")
        said = last_lines(output.decode(errors="replace"))
        reason = f"{command[0]} took longer than {timeout:.0f} s; it last said\n{said}"
        raise SlipwayError(Problem(what, reason, fix)) from error
    if done.returncode != 0:
        said = last_lines((done.stdout + done.stderr).decode(errors="replace"))
        reason = f"{command[0]} ended with code {done.returncode}; it last said\n{said}"
        raise SlipwayError(Problem(what, reason, fix))
    return done.stdout.decode(errors="replace")


def _done(
    command: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: bytes,
    timeout: float | None,
    memory: int | None,
) -> subprocess.CompletedProcess[bytes]:
    """As ``subprocess.run``, which cannot bound memory."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **env} if env else None,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            if memory is not None:
                with suppress(ProcessLookupError):  # it is over already
                    resource.prlimit(process.pid, resource.RLIMIT_DATA, (memory, memory))
            stdout, stderr = process.communicate(stdin, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

"""Templates that may do anything are filled in by a process apart: it can be ended, a run cannot.

One process serves all templates of a run that need it, one after the other. It is started by the
first, and after one that broke its bounds, by the next.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from slipway.apps.template_child import CPU_SECONDS

PROGRAM = Path(__file__).with_name("template_child.py")

WALL_SECONDS = 5.0 * CPU_SECONDS
"""How long a template may take where the machine has other work."""


class BrokeBounds(Exception):
    """A template took more time or memory than it may."""


class Confined:
    """The process, as whoever asks it sees it; it may be shared between threads."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request, as :mod:`slipway.apps.template_child` has it.

        Raises BrokeBounds when the process had to be ended.
        """
        with self._lock:
            process = self._process = self._process or _started()
            try:
                return _asked(process, json.dumps(request).encode() + b"\n")
            except BaseException:  # what it would still say is no answer to the next request
                self._end(kill=True)
                raise

    def forget(self) -> None:
        """In a fork of this process, leave the other to whoever started it."""
        if self._process:
            self._process.returncode = 0  # it is no child of this one
        self._process = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end(kill=False)

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process:
            if kill:
                process.kill()
            with process:  # closes the pipes, upon which it ends
                pass


def _started() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # The folder of the program is none to import from: its modules are named as others are.
        [sys.executable, "-P", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _asked(process: subprocess.Popen[bytes], request: bytes) -> dict[str, Any]:
    stdin, stdout = _pipes(process)
    try:
        stdin.write(request)
        stdin.flush()
    except BrokenPipeError as error:
        raise BrokeBounds(_end_of(process)) from error
    until = time.monotonic() + WALL_SECONDS
    heard = select.poll()
    heard.register(stdout, select.POLLIN)
    said = bytearray()
    while not said.endswith(b"\n"):
        if not heard.poll(max(0.0, until - time.monotonic()) * 1000):
            raise BrokeBounds(f"it takes longer than {WALL_SECONDS:.0f} s")
        part = os.read(stdout.fileno(), 1 << 20)
        if not part:
            raise BrokeBounds(_end_of(process))
        said += part
    answer: dict[str, Any] = json.loads(said)
    return answer


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin
    assert process.stdout
    return process.stdin, process.stdout


def _end_of(process: subprocess.Popen[bytes]) -> str:
    """Why the process has ended."""
    if process.wait() in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"it takes more than {CPU_SECONDS} s of a processor's time"
    return f"it ended the process that filled it in (code {process.returncode})"


ASKED = Confined()
"""The process of this run."""

os.register_at_fork(after_in_child=ASKED.forget)
atexit.register(ASKED.close)

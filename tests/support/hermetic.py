"""Nothing real: who starts a program, or goes beyond this machine, is found out.

Python tells its audit hooks of every process and every connection before it is made. Programs that
a child of this Python starts are out of their sight.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(tempfile.gettempdir()).resolve()
"""Below it is what tests write themselves."""

PYTHON = Path(sys.executable).resolve()
MEND = "has its place in tests/integration, or takes a stand-in that it writes itself"


class NotHermetic(AssertionError):
    """A test did what a hermetic one does not."""


class _Watch:
    """What was found out of the test that runs now; None where there is none to watch."""

    found: list[str] | None = None

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        if self.found is not None and (done := _wrong(event, given)):
            self.found.append(done)
            raise NotHermetic(f"{done}: such a test {MEND}")


_watch = _Watch()
sys.addaudithook(_watch)  # once, for such a hook cannot be taken away


@contextmanager
def nothing_real() -> Iterator[None]:
    """Have no program but this Python and stand-ins started, and nothing asked but this machine."""
    found: list[str] = []
    before, _watch.found = _watch.found, found
    try:
        yield
    finally:
        _watch.found = before
    if found:  # also where the code under test took it for an error of its own
        pytest.fail(f"{'; '.join(found)}: such a test {MEND}")


def _wrong(event: str, given: tuple[Any, ...]) -> str:
    """What an event is that no hermetic test causes; empty for all others."""
    if event == "subprocess.Popen":
        program, arguments, folder, env = given
        first = program or (arguments if isinstance(arguments, str | bytes) else arguments[0])
        path = (os.environ if env is None else env).get("PATH")
        return _started(os.fsdecode(first), path, os.fsdecode(folder or "."))
    if event in ("os.exec", "os.posix_spawn"):  # the latter comes of subprocess since Python 3.14
        program, _arguments, env = given
        return _started(os.fsdecode(program), (env or os.environ).get("PATH"), ".")
    if event == "os.system":
        return f"it started {os.fsdecode(given[0])}"
    if event in ("socket.connect", "socket.sendto"):
        return _asked(given[1])
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        return _asked((given[0],))
    return ""


def _started(program: str, path: str | None, folder: str) -> str:
    found = str(Path(folder, program)) if "/" in program else shutil.which(program, path=path)
    if not found or not Path(found).exists():  # nothing will be started
        return ""
    real = Path(found).resolve()
    return "" if real == PYTHON or FOLDER in real.parents else f"it started {found}"


def _asked(address: Any) -> str:
    if not isinstance(address, tuple):  # a socket of this machine
        return ""
    host = os.fsdecode(address[0] or "localhost")
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = host.rstrip(".") == "localhost"
    return "" if is_here else f"it asked {host}"

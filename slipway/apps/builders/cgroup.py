"""Control groups: bounds of memory and processes for what is started in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

ROOT = Path("/sys/fs/cgroup")

MEMORY = {"memory": "memory.limit_in_bytes", "": "memory.max"}
PROCESSES = {"pids": "pids.max", "": "pids.max"}
"""The file of each bound, by the controller of version 1; that of version 2 has none."""

_USERS: Counter[str] = Counter()
_COUNTING = Lock()


@contextmanager
def bounded(name: str, memory: int, processes: int, root: Path = ROOT) -> Iterator[str]:
    """A group for as long as somebody in this process needs it; gives its path below the top.

    What is not bounded on this machine stays so. All that was started there has ended before.
    """
    with _COUNTING:
        _USERS[name] += 1
    version = "" if (root / "cgroup.controllers").exists() else "1"
    made = []
    for files, most in ((MEMORY, memory), (PROCESSES, processes)):
        for controller, file in files.items():
            top = root / controller
            if bool(controller) is bool(version) and (top.is_dir()):
                with suppress(OSError):  # this user or this container makes none
                    (top / name).mkdir(exist_ok=True)
                    made.append(top / name)
                    (top / name / file).write_text(str(most))
    try:
        yield f"/{name}"
    finally:
        with _COUNTING:
            _USERS[name] -= 1
            if not _USERS[name]:
                for group in made:
                    _remove(group)


def _remove(group: Path) -> None:
    """Remove a group with those in it, the innermost first; its files are the kernel's."""
    with suppress(OSError):  # something has not ended yet, or it is gone
        for inner in group.iterdir():
            if inner.is_dir():
                _remove(inner)
        group.rmdir()

"""Run every check, one after another, and end with a count of them.

A check that fails does not keep the others from running, so one run shows all that is wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

LAST_LINES = 150
"""How much of a failed check is shown again at the end."""

QUICK = {
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "--offline", "--strict"],
}
"""A minute; nothing outside the checkout is touched."""

SLOW = {
    "tools and bundle": ["ansible-playbook", "tests/prepare.yml"],
    "unit tests": ["pytest", "-q", "tests/unit", "tests/integration"],
    "containers as nodes": ["molecule", "test", "--scenario-name", "default"],
    "machines over SSH": ["molecule", "test", "--scenario-name", "lab"],
}
"""Each scenario makes a cluster and removes it, with the engine if nothing else runs on it."""


def run(title: str, command: list[str]) -> tuple[bool, list[str]]:
    """Run one check with its output shown; return whether it passed, and its last lines."""
    print(f"\n=== {title}: {' '.join(command)}", flush=True)
    started = time.monotonic()
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as check:
        for line in check.stdout or ():
            print(line, end="", flush=True)
            last.append(line)
    outcome = "passed" if check.returncode == 0 else "FAILED"
    print(f"=== {title}: {outcome} after {time.monotonic() - started:.0f} s", flush=True)
    return check.returncode == 0, [*last]


def main() -> int:
    """Run the checks; the exit code is 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what needs no cluster")
    checks = QUICK if parser.parse_args().quick else {**QUICK, **SLOW}
    failures = {}
    for title, command in checks.items():
        passed, last = run(title, command)
        if not passed:
            failures[title] = last
    for title, last in failures.items():
        print(f"\n=== {title} failed; its last lines once more:\n{''.join(last)}")
    print(f"\n{len(checks) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

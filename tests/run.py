"""Run every check, one after another, and end with a count of them.

A check that fails does not keep the others from running, so one run shows all that is wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

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
    "unit tests": ["pytest", "-q", "tests/unit"],
    "containers as nodes": ["molecule", "test", "--scenario-name", "default"],
    "machines over SSH": ["molecule", "test", "--scenario-name", "lab"],
}
"""Each scenario makes a cluster and removes it, with the engine if nothing else runs on it."""


def run(title: str, command: list[str]) -> bool:
    """Run one check with its output shown; return whether it passed."""
    print(f"\n=== {title}: {' '.join(command)}", flush=True)
    started = time.monotonic()
    passed = subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, check=False)
    outcome = "passed" if passed.returncode == 0 else "FAILED"
    print(f"=== {title}: {outcome} after {time.monotonic() - started:.0f} s", flush=True)
    return passed.returncode == 0


def main() -> int:
    """Run the checks; the exit code is 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what needs no cluster")
    checks = QUICK if parser.parse_args().quick else {**QUICK, **SLOW}
    results = {title: run(title, command) for title, command in checks.items()}
    failed = [title for title, passed in results.items() if not passed]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    print(f"\n{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Run every check, or those of the suites that are named, and end with a count of them.

A check that fails does not keep the others from running, so one run shows all that is wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

LAST_LINES = 60
"""How much of a failed check is shown again at the end, beside the tests that failed."""

WORDS_OF_TESTS = re.compile(r"(FAILED|ERROR)\b.*\.py::|^(\W|\[\d*m)*E   ")
"""What is shown again of pytest's: what its tests expected, and its summary."""

COLUMNS = "200"
"""How wide Molecule takes the screen to be: it breaks the lines that it frames."""

WORKFLOW = "examples/ci/github-actions.yml"

Checks = dict[str, list[str]]
"""Commands by their titles."""

LINT: Checks = {
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "--offline", "--strict"],
    "workflow": ["check-jsonschema", "--builtin-schema=vendor.github-workflows", WORKFLOW],
}

UNIT: Checks = {"unit tests": ["pytest", "-q", "tests/unit", "ingress/tests/unit"]}

INTEGRATION: Checks = {
    "tools and bundle": ["ansible-playbook", "tests/prepare.yml"],
    "integration tests": ["pytest", "-q", "tests/integration", "ingress/tests/integration"],
}

SCENARIOS = {
    "default": "containers as nodes",
    "lab": "machines over SSH",
    "ha": "three control planes",
}
"""Each makes a cluster and removes it, with the engine if nothing else runs on it."""


def e2e(scenario: str, tests: str, inventory: str) -> Checks:
    """Whole scenarios, or tests of a cluster that stands: a scenario's, or that of an inventory."""
    if not tests and not inventory:
        chosen = [scenario] if scenario else SCENARIOS
        return {SCENARIOS[name]: ["molecule", "test", "--scenario-name", name] for name in chosen}
    own = Path("tests/e2e", scenario or "default")
    folders = ["tests/e2e/shared", *([str(own)] if tests and (PROJECT / own).exists() else [])]
    cluster = inventory or f"molecule/{scenario or 'default'}/inventory"
    command = ["env", f"SLIPWAY_INVENTORY={cluster}", "pytest", "-v", "-k", tests, *folders]
    return {f"tests of {cluster}": command}


def run(title: str, command: list[str]) -> tuple[bool, list[str]]:
    """Run one check with its output shown; return whether it passed, and its last lines."""
    print(f"\n=== {title}: {' '.join(command)}", flush=True)
    started = time.monotonic()
    said: deque[str] = deque(maxlen=LAST_LINES)
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": COLUMNS},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as check:
        for line in check.stdout or ():
            print(line, end="", flush=True)
            last.append(line)
            if WORDS_OF_TESTS.search(line):
                said.append(line)
    outcome = "passed" if check.returncode == 0 else "FAILED"
    print(f"=== {title}: {outcome} after {time.monotonic() - started:.0f} s", flush=True)
    return check.returncode == 0, [*said, *last]


def main() -> int:
    """Run the checks; the exit code is 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", help="lint, unit, integration, e2e; all of them")
    parser.add_argument("--scenario", default="", choices=["", *SCENARIOS])
    parser.add_argument("--tests", default="", metavar="EXPRESSION", help="as pytest has it")
    parser.add_argument("--inventory", default="", help="of a cluster that stands")
    args = parser.parse_args()
    suites = {
        "lint": LINT,
        "unit": UNIT,
        "integration": INTEGRATION,
        "e2e": e2e(args.scenario, args.tests, args.inventory),
    }
    if unknown := {*args.suites} - {*suites}:
        parser.error(f"there is no suite {', '.join(sorted(unknown))}")
    chosen = args.suites or suites
    checks = {title: command for suite in chosen for title, command in suites[suite].items()}
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

"""The first thing that any target of make does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.mark.parametrize("target", ["up", "doctor"])
def test_it_is_the_first_thing_that_targets_do(target: str) -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert planned.stdout.splitlines()[0] == "bin/bootstrap >&2"

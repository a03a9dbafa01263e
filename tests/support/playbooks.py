"""Ansible as a user has it: the project's settings, and nobody there to answer a question."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.checkout import PROJECT

BIN = Path(sys.executable).parent

ANSIBLE = str(BIN / "ansible-playbook")

SECONDS = 600.0
"""How long one may take that does not end by itself."""


Done = subprocess.CompletedProcess[str]


def play(*arguments: str, folder: Path = PROJECT, **env: str) -> Done:
    """Run playbooks in a folder, with more in its environment; what became of it."""
    return done([ANSIBLE, *arguments], folder, **env)


def done(
    argv: Sequence[str], folder: Path = PROJECT, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a tool that runs Ansible in its turn."""
    settings = {
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "true",
        "PYTHONPATH": str(PROJECT),
    }
    return subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, **settings, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )

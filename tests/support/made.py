"""Conditions that are really made, in name spaces of one process, for the doctor to meet them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway import node_program
from slipway.doctor.machine import Machine, Use
from tests.support.checkout import PROJECT
from tests.support.machines import CONTROL_PLANE, WORKER

GROUPS = Path("/sys/fs/cgroup")

OF_NODES = {Use.CONTROL_PLANE: CONTROL_PLANE, Use.WORKER: WORKER}


def apart(
    argv: Sequence[str], prepare: str = "", *, within: Sequence[str] = ("--mount", "--net")
) -> subprocess.CompletedProcess[str]:
    """Run a command in name spaces of its own, after the shell commands that prepare them."""
    script = f'{prepare}\nexec "$@"'
    return subprocess.run(
        ["unshare", *within, "sh", "-euc", script, "sh", *argv],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )


def module(
    name: str,
    args: dict[str, Any],
    prepare: str = "",
    *,
    under: Sequence[str] = (),
    within: Sequence[str] = ("--mount", "--net"),
) -> dict[str, Any]:
    """What a module returns that runs there; ``under`` are programs that run it."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(node_program.program(name, args, {}))
        file.flush()
        Path(file.name).chmod(0o644)  # whoever runs it
        done = apart([*under, sys.executable, "-I", file.name], prepare, within=within)
    return node_program.result("there", name, done.returncode, done.stdout, done.stderr)


def seen(
    prepare: str = "",
    use: Use = Use.HOST,
    *,
    under: Sequence[str] = (),
    within: Sequence[str] = ("--mount", "--net"),
    made: bool = False,
    **args: Any,
) -> Machine:
    """This machine as it is there."""
    asked = {"places": {}, "address": "", "addresses": [], "ways": [], **args}
    result = module("machine_look", asked, prepare, under=under, within=within)
    name = OF_NODES.get(use, "localhost")
    return Machine(name, use, result["facts"], result["unknown"], made)


def without(*programs: str) -> str:
    """Shell commands after which programs cannot be run any more."""
    hide = 'mount --bind /dev/null "$(readlink -f "$(command -v {})")"'
    return "\n".join(map(hide.format, programs))


NOBODY = 65534


def python(imports: str, code: str, prepare: str = "", *, user: int = 0) -> list[str]:
    """What a program prints there, by line; a user's may not be able to read what it imports."""
    program = f"{imports}\nimport os\nos.setgroups([])\nos.setuid({user})\n{code}"
    done = apart([sys.executable, "-c", program], prepare)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@contextmanager
def bounded(controller: str = "", **values: str) -> Iterator[str]:
    """A control group with values in its files, by names that have ``_`` for the first ``.``.

    Gives the shell command that joins it. It is one of version 1 where there is such a controller,
    and of version 2 otherwise; of files whose names differ, those that are not there are left out.
    """
    kind = "cgroup" if controller and (GROUPS / controller).is_dir() else "cgroup2"
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    tops = [Path(at) for _, at, found, *_ in mounts if found == kind]
    top = GROUPS / controller if kind == "cgroup" else tops[0]
    group = top / f"slipway-test-{os.getpid()}"
    group.mkdir()
    try:
        for name, value in values.items():
            file = group / name.replace("_", ".", 1)
            if file.exists():
                file.write_text(value)
        yield f"echo $$ > {group}/cgroup.procs"
    finally:
        group.rmdir()

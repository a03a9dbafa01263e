"""What all proofs on virtual machines share: how long steps may take, and what is said of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from slipway.errors import SlipwayError
from tests.vm.machine import Machine

RUN_SECONDS = 3600.0
"""How long one run of the Makefile may take."""

STEP_SECONDS = 1200.0
"""How long anything else may take."""

APPS_FILE = "tests/vm/apps.yml"
"""One service, seen from the checkout."""

TITLE = "Quotation of the day"
"""What its page says."""


def say(line: str) -> None:
    """Tell what goes on."""
    print(f"[{time.strftime('%H:%M:%S')}] {line}", flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Tell of a step and, once it is done, how long it took."""
    say(f"==> {title}")
    started = time.monotonic()
    yield
    say(f"    {title}: {time.monotonic() - started:.0f} s")


@contextmanager
def watched(machine: Machine, state: Sequence[str], *, keep: bool) -> Iterator[None]:
    """Show what commands on a machine say where something goes wrong.

    To ``keep`` the machine, it is left running until Ctrl-C.
    """
    try:
        yield
    except SlipwayError:
        print(f"--- the console\n{machine.console()}", flush=True)
        for command in state if machine.answers() else ():
            said = machine.ask("state", f"{{ {command}; }} 2>&1 || true")
            print(f"--- {command}\n{said}", flush=True)
        raise
    finally:
        if keep:
            say(f"kept until Ctrl-C; a command there: {' '.join(machine.argv('...'))}")
            _wait_for_interrupt()


def _wait_for_interrupt() -> None:
    """Do nothing until Ctrl-C."""
    try:
        while True:
            time.sleep(60)
    except KeyboardInterrupt:
        pass

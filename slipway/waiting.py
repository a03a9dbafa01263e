"""The one way to wait for something that nobody announces."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

PAUSE = 0.1
"""Seconds between two looks, unless a caller knows better."""


class Patience:
    """How many times longer than usual a wait may be: the variable ``slipway_wait_factor``."""

    factor: ClassVar[float] = 1.0


def allowed(seconds: float) -> float:
    """How long a wait may be that usually ends within ``seconds``."""
    return seconds * Patience.factor


def wait_until(holds: Callable[[], object], seconds: float, pause: float = PAUSE) -> bool:
    """Look until ``holds`` gives something true; False when ``seconds`` have passed before.

    It looks at least once, and waits ``pause`` seconds between two looks.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True

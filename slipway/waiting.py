"""The one way to wait for something that nobody announces."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from threading import Thread
from typing import ClassVar, TypeVar

Asked = TypeVar("Asked", bound=Hashable)
Answer = TypeVar("Answer")

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


def answered(
    asked: Iterable[Asked], ask: Callable[[Asked], Answer], seconds: float
) -> dict[Asked, Answer]:
    """What came of asking each at the same time; who has not answered in time is left out."""
    found: dict[Asked, Answer] = {}

    def note(each: Asked) -> None:
        found[each] = ask(each)

    # A thread that waits for a name server cannot be ended, so none may keep the program alive.
    threads = [Thread(target=note, args=(each,), daemon=True) for each in asked]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(found)

"""How far something is that has many bytes, in lines now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from slipway.oci.model import readable

SECONDS = 10.0
"""How often it is said."""


@dataclass
class Progress:
    """Says what was done (``packed``) with how many of all bytes, and how long that has taken.

    ``total`` is 0 where nobody knows.
    """

    done: str
    total: int
    say: Callable[[str], None]
    count: int = 0
    _began: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    def add(self, size: int) -> None:
        """Note that so many bytes more are done."""
        self.count += size
        now = time.monotonic()
        if now - self._said >= SECONDS:
            self._said = now
            self.say(str(self))

    def __str__(self) -> str:
        whole = f" of {readable(self.total)}" if self.total > self.count else ""
        return (
            f"{self.done} {readable(self.count)}{whole} in {time.monotonic() - self._began:.0f} s"
        )

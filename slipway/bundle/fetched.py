"""What is downloaded by its sha256, of as many places at a time as somebody asks for."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slipway.bundle import manifest
from slipway.bundle.download import Broken, Download, Server
from slipway.errors import Problem, SlipwayError


@dataclass(frozen=True)
class Fetched:
    """Contents below ``folder``, each in its own folder: whole, or as far as they have come."""

    folder: Path
    say: Callable[[str], None]
    _spans: list[tuple[float, float]] = field(default_factory=list, compare=False)
    _one: threading.Lock = field(default_factory=threading.Lock, compare=False)
    _locks: dict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock), compare=False
    )

    def have(self, server: Server, sha256: str, needed: int = 0) -> Path:
        """The file with this content, from a server unless it is there.

        There has to be room for ``needed`` bytes more. Raises SlipwayError when it cannot be had,
        or is another one; what has come of the right one stays.
        """
        with self._one:
            lock = self._locks[sha256]
        with lock:
            return self._have(server, sha256, needed)

    @property
    def seconds(self) -> float:
        """How long it took from the first that was asked for to the last that came."""
        if not self._spans:
            return 0.0
        return max(end for _, end in self._spans) - min(begin for begin, _ in self._spans)

    def _have(self, server: Server, sha256: str, needed: int) -> Path:
        began = time.monotonic()
        download = Download(server, self.folder / sha256 / "part", self.say)
        try:
            download.run(needed)
        except Broken as broken:
            raise said(server, broken) from broken
        if not manifest.has(download.part, sha256):
            found = manifest.sha256_of(download.part)
            download.remove()
            what = f"has another content than the lock says (sha256 {found}, not {sha256})"
            fix = "have it corrected there; if upstream has changed it, correct bundle/upstream.yml"
            raise SlipwayError(Problem(str(server), f"{what}; it was removed", fix))
        self._spans.append((began, time.monotonic()))
        return download.part


def said(server: Server, broken: Broken) -> SlipwayError:
    """Why something of a server cannot be had, for users."""
    fix = broken.fix or "run again; what has come stays"
    return SlipwayError(Problem(str(server), str(broken), fix))

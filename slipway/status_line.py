"""A line on a terminal that says what goes on, rewritten in place while it lasts."""

from __future__ import annotations

import os
import select
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

SECONDS = 1.0
"""How often it is rewritten."""

ECHO = 2
"""Columns that a terminal adds by itself when the user presses Ctrl-C: ``^C``."""


class StatusLine:
    """The last line of a terminal, for as long as there is something to say.

    ``text`` says what goes on, or nothing. ``lock`` is held by all who write to the terminal and by
    those who fork: the line is written past Python's own buffers, by a thread of which a forked
    process knows nothing. It is cleared with blanks alone, so that it needs no escape codes.
    """

    def __init__(
        self, terminal: int, text: Callable[[], str], lock: AbstractContextManager[object]
    ) -> None:
        self._terminal, self._text, self._lock = terminal, text, lock
        self._shown = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._rewrite, name="status line", daemon=True)

    def start(self) -> None:
        """Begin to show it."""
        self._thread.start()

    def clear(self) -> None:
        """Remove it, for another line to be written in its place; the lock has to be held."""
        if self._shown:
            self._write("\r" + " " * (self._shown + ECHO) + "\r")
            self._shown = 0

    def stop(self) -> None:
        """Remove it for good."""
        self._ended.set()
        with self._lock:
            self.clear()
        self._thread.join()

    def _rewrite(self) -> None:
        while not self._ended.wait(SECONDS):
            with self._lock:
                if not self._ended.is_set():
                    self._show()

    def _show(self) -> None:
        # What is stopped (by Ctrl-S) would keep the lock, and with it the run.
        _, ready, _ = select.select([], [self._terminal], [], 0)
        if ready and (text := self._text()[: self._width]):
            self._write("\r" + text.ljust(min(self._shown, self._width)))
            self._shown = len(text)

    @property
    def _width(self) -> int:
        """How long it may be without a second line."""
        return shutil.get_terminal_size().columns - ECHO - 1

    def _write(self, text: str) -> None:
        try:
            os.write(self._terminal, text.encode())
        except OSError:  # the terminal has gone
            self._ended.set()

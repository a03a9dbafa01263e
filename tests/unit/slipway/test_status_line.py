"""The line that says what goes on, as a terminal gets it."""

from __future__ import annotations

import os
import pty
import re
import threading
import time
from collections.abc import Iterator

import pytest

from slipway import status_line
from slipway.status_line import StatusLine
from slipway.waiting import wait_until


class Terminal:
    """A terminal of 40 columns, and a status line on it."""

    def __init__(self) -> None:
        self._reader, self.writer = pty.openpty()
        os.set_blocking(self._reader, False)
        self.lock = threading.RLock()
        self.text = ""
        self.line = StatusLine(self.writer, lambda: self.text, self.lock)
        self.received = ""

    def shows(self, text: str) -> bool:
        """Whether a text has come since this was last asked with success."""
        try:
            self.received += os.read(self._reader, 4096).decode()
        except BlockingIOError:
            return False
        _, found, after = self.received.partition(text)
        if found:
            self.received = after
        return bool(found)

    def close(self) -> None:
        os.close(self._reader)
        os.close(self.writer)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setattr(status_line, "SECONDS", 0.01)
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    yield terminal
    terminal.line.stop()
    terminal.close()


def test_it_is_rewritten_and_a_shorter_one_leaves_nothing_of_the_one_before(
    terminal: Terminal,
) -> None:
    terminal.text = "making the nodes, 10 s"
    terminal.line.start()
    assert wait_until(lambda: terminal.shows("\rmaking the nodes, 10 s"), 10)
    terminal.text = "done"
    assert wait_until(lambda: terminal.shows("\rdone" + " " * 18), 10)


def test_it_is_cut_to_one_line(terminal: Terminal) -> None:
    terminal.text = "x" * 100
    terminal.line.start()
    assert wait_until(lambda: terminal.shows("\r" + "x" * 37 + "\r"), 10)


def test_it_stays_away_while_there_is_nothing_to_say(terminal: Terminal) -> None:
    terminal.line.start()
    time.sleep(0.1)
    with terminal.lock:
        terminal.line.clear()
    assert not terminal.shows("\r")


def test_another_line_takes_its_place(terminal: Terminal) -> None:
    terminal.text = "making"
    terminal.line.start()
    assert wait_until(lambda: terminal.shows("\rmaking"), 10)
    with terminal.lock:
        terminal.line.clear()
        os.write(terminal.writer, b"made\n")
    assert wait_until(lambda: terminal.shows("\r" + " " * 8 + "\rmade\r\n"), 10)


def test_it_waits_for_those_who_write(terminal: Terminal) -> None:
    terminal.text = "making"
    with terminal.lock:
        terminal.line.start()
        time.sleep(0.1)
        assert not terminal.shows("making")
    assert wait_until(lambda: terminal.shows("making"), 10)


def test_nothing_is_left_of_it_at_the_end(terminal: Terminal) -> None:
    before = threading.active_count()
    terminal.text = "making"
    terminal.line.start()
    assert threading.active_count() == before + 1
    assert wait_until(lambda: terminal.shows("\rmaking"), 10)
    terminal.line.stop()
    assert threading.active_count() == before
    assert wait_until(lambda: terminal.shows("\r" + " " * 8 + "\r"), 10)
    assert not re.search(r"\S", terminal.received)


def test_a_terminal_that_has_gone_ends_it() -> None:
    terminal = Terminal()
    terminal.close()
    terminal.line._write("making")
    terminal.line.start()
    terminal.line.stop()
    assert not terminal.line._thread.is_alive()

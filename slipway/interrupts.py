"""Work that is still done when a signal ends the process."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import FrameType

from slipway.errors import Problem, SlipwayError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_PR_SET_PDEATHSIG = 1
"""The option of prctl(2) that has the kernel send a signal when the parent ends."""

_open: dict[object, Callable[[], None]] = {}
"""What is still to be done, of all threads."""

os.register_at_fork(after_in_child=_open.clear)  # it is the parent's to do

_AGAIN_SECONDS = 0.01
"""After how long a signal that came in the middle of something comes once more."""

_undivided = threading.RLock()
"""Held by whoever does what no signal may come into the middle of."""

_blocks: list[None] = []
"""As many as there are such blocks in the thread that holds it."""


@contextmanager
def undivided() -> Iterator[None]:
    """Have watched signals do nothing before the end of the block, whichever thread is in it.

    For starting something and saying what ends it: between the two nobody would end it.
    """
    with _undivided:
        _blocks.append(None)
        try:
            yield
        finally:
            _blocks.pop()


@contextmanager
def also_when_ended(work: Callable[[], None]) -> Iterator[None]:
    """Do the work at the end of the block, or when a signal comes while signals are watched.

    Raises SlipwayError with the problems of both when the block and the work fail.
    """
    mark = object()
    _open[mark] = work
    problems: list[Problem] = []
    try:
        yield
    except SlipwayError as error:
        problems += error.problems
    finally:
        # Whoever takes the entry out does the work, so that it is done once.
        if _open.pop(mark, None):
            try:
                work()
            except SlipwayError as error:
                problems += error.problems
    if problems:
        raise SlipwayError(problems)


@contextmanager
def on_signal(work: Callable[[], None]) -> Iterator[None]:
    """Do the work when a signal comes before the end of the block, while signals are watched."""
    mark = object()
    _open[mark] = work
    try:
        yield
    finally:
        _open.pop(mark, None)


def end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent ends, however that does."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_when_unheard() -> None:
    """Have SIGPIPE end this process, as it ends tools, when nobody reads any more what it says.

    Python ignores that signal, and so do processes that are forked: a connection may close.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGPIPE, signal.SIG_IGN))


@contextmanager
def watched_signals() -> Iterator[None]:
    """Have SIGINT and SIGTERM do what is still to be done before they do what they did before.

    Only the main thread gets signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with ExitStack() as stack:
        for number in _SIGNALS:
            before = signal.getsignal(number)
            stack.callback(signal.signal, number, before)
            signal.signal(number, _handler(before))
        yield


def _handler(
    before: Callable[[int, FrameType | None], object] | int | None,
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if not _undivided.acquire(blocking=False):
            come_again(number)
            return
        try:
            if _blocks:  # of this very thread
                come_again(number)
                return
            for each in _SIGNALS:  # a second one must not interrupt the work
                signal.signal(each, signal.SIG_IGN)
            while _open:
                _, work = _open.popitem()
                with suppress(SlipwayError):  # nobody is left to hear it
                    work()
        finally:
            _undivided.release()
        signal.signal(number, before)
        os.kill(os.getpid(), number)

    def come_again(number: int) -> None:
        threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number)).start()

    return handle

"""Waits: at once, later, never."""

from __future__ import annotations

import time

import pytest

from slipway.waiting import Patience, allowed, wait_until


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a wait, on a clock that only they move."""
    made: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: sum(made))
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def test_what_holds_is_not_waited_for(pauses: list[float]) -> None:
    assert wait_until(lambda: True, seconds=0)
    assert pauses == []


def test_what_comes_to_hold_ends_the_wait(pauses: list[float]) -> None:
    answers = iter([False, None, "yes", False])
    assert wait_until(lambda: next(answers), seconds=10, pause=2)
    assert pauses == [2, 2]


def test_what_never_holds_is_given_up(pauses: list[float]) -> None:
    assert not wait_until(lambda: False, seconds=5, pause=2)
    assert pauses == [2, 2, 2]


def test_a_wait_may_be_longer_where_everything_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    assert allowed(30) == 30
    monkeypatch.setattr(Patience, "factor", 2.5)
    assert allowed(30) == 75

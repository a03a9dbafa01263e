"""Spans of time, and the table of where it went."""

from __future__ import annotations

import pytest

from slipway.stopwatch import SLOWEST, Stopwatch, merged, minutes, table


def test_spans_follow_one_another() -> None:
    times = iter([10.0, 12.5, 12.5, 20.0])
    watch = Stopwatch(clock=lambda: next(times))
    watch.stop()
    watch.start("a")
    watch.start("b")
    watch.stop()
    watch.stop()
    assert watch.spans == [("a", 2.5), ("b", 7.5)]


def test_the_span_that_is_running_is_known_with_its_seconds() -> None:
    times = iter([10.0, 12.5, 13.0])
    watch = Stopwatch(clock=lambda: next(times))
    assert watch.running is None
    watch.start("a")
    assert watch.running == ("a", 2.5)
    watch.stop()
    assert watch.running is None


def test_what_is_skipped_is_left_out_of_the_span_that_is_running() -> None:
    times = iter([10.0, 20.0, 20.0, 50.0])
    watch = Stopwatch(clock=lambda: next(times))
    watch.skip(100.0)
    watch.start("a")
    watch.skip(3.0)
    watch.skip(5.0)
    watch.start("b")
    watch.stop()
    watch.skip(100.0)
    assert watch.spans == [("a", 2.0), ("b", 30.0)]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0:00"), (59.99, "0:59"), (60.0, "1:00"), (3725.0, "62:05")]
)
def test_elapsed_time_is_in_minutes(seconds: float, shown: str) -> None:
    assert minutes(seconds) == shown


def test_a_phase_of_several_plays_counts_once_where_it_first_came() -> None:
    spans = [("bundle", 1.0), ("nodes", 2.0), ("bundle", 0.5)]
    assert list(merged(spans).items()) == [("bundle", 1.5), ("nodes", 2.0)]


def test_the_table_has_every_phase_their_sum_and_the_slowest_tasks() -> None:
    tasks = [(f"task {number}", float(number)) for number in range(20)]
    assert table([("bundle", 100.04), ("nodes", 90.0)], tasks) == [
        "   100.0 s  bundle",
        "    90.0 s  nodes",
        "   190.0 s  total",
        "",
        "The slowest tasks:",
        *(f"{number:8.1f} s  task {number}" for number in range(19, 19 - SLOWEST, -1)),
    ]


def test_without_tasks_none_is_the_slowest() -> None:
    assert table([("bundle", 1.0)], []) == ["     1.0 s  bundle", "     1.0 s  total"]

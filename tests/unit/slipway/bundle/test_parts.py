"""Parts: made once, side by side, kept when others fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from slipway.bundle import manifest, parts
from slipway.bundle.parts import Part, make

WAIT = 5.0
"""Seconds after which what should have happened by then has not."""


class Workshop:
    """Makes parts and remembers which."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.made: list[str] = []
        self.said: list[str] = []
        self.failing: set[str] = set()

    def part(self, name: str, key: str = "0" * 64, lane: str = "lane") -> Part:
        """A part that holds its own name, unless it is one of those that fail."""

        def fill(into: Path) -> Mapping[str, object]:
            (into / "file").write_text(name)
            if name in self.failing:
                raise RuntimeError(f"{name} does not work")
            self.made.append(name)
            return {"version": name}

        return Part(name=name, key=key, lane=lane, make=fill)

    def make(self, *wanted: Part) -> dict[str, Path]:
        """Make the parts."""
        return make(wanted, self.store, self.said.append)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "parts")


def test_parts_are_made_with_a_manifest_of_what_was_said_about_them(workshop: Workshop) -> None:
    found = workshop.make(workshop.part("a"), workshop.part("b", lane="other"))
    assert {name: (path / "file").read_text() for name, path in found.items()} == {
        "a": "a",
        "b": "b",
    }
    assert (manifest.read(found["a"]) or {})["about"] == {"version": "a"}
    assert sorted(path.name for path in workshop.store.iterdir()) == [
        f"a-{'0' * 16}",
        f"b-{'0' * 16}",
    ]


def test_what_is_there_is_not_made_again(workshop: Workshop) -> None:
    workshop.make(workshop.part("a"))
    workshop.make(workshop.part("a"), workshop.part("b"))
    assert workshop.made == ["a", "b"]


def test_another_key_makes_another_part_and_leaves_the_first(workshop: Workshop) -> None:
    old = workshop.make(workshop.part("a"))["a"]
    new = workshop.make(workshop.part("a", key="1" * 64))["a"]
    assert workshop.made == ["a", "a"]
    assert old != new
    assert old.is_dir()


def test_a_damaged_part_is_made_anew(workshop: Workshop) -> None:
    damaged = workshop.make(workshop.part("a"), workshop.part("b"))["a"]
    (damaged / "file").write_text("A")
    workshop.make(workshop.part("a"), workshop.part("b"))
    assert workshop.made == ["a", "b", "a"]
    assert (damaged / "file").read_text() == "a"


def test_after_a_failure_it_goes_on_where_it_was(workshop: Workshop) -> None:
    wanted = [workshop.part(name) for name in "abc"]
    workshop.failing = {"b"}
    with pytest.raises(RuntimeError, match="b does not work"):
        workshop.make(*wanted)
    assert workshop.made == ["a"]
    workshop.failing = set()
    workshop.make(*wanted)
    assert workshop.made == ["a", "b", "c"]


def test_half_of_a_part_is_no_part(workshop: Workshop) -> None:
    workshop.failing = {"a"}
    with pytest.raises(RuntimeError):
        workshop.make(workshop.part("a"))
    assert parts.missing([workshop.part("a")], workshop.store) != []


def test_what_another_lane_is_making_when_one_fails_is_finished_and_kept(
    workshop: Workshop,
) -> None:
    begun, failed = threading.Event(), threading.Event()

    def say(line: str) -> None:
        if "broken: failed" in line:
            failed.set()

    def fail(into: Path) -> Mapping[str, object]:
        assert begun.wait(WAIT)
        raise RuntimeError("broken")

    def slow(into: Path) -> Mapping[str, object]:
        begun.set()
        assert failed.wait(WAIT)
        (into / "file").write_text("slow")
        return {}

    wanted = [
        Part("broken", "0" * 64, "one", fail),
        Part("slow", "0" * 64, "two", slow),
        workshop.part("after", lane="two"),
    ]
    with pytest.raises(RuntimeError, match="broken"):
        make(wanted, workshop.store, say)
    assert [part.name for part in parts.missing(wanted, workshop.store)] == ["broken", "after"]


def test_lanes_run_side_by_side_and_their_parts_one_after_another(workshop: Workshop) -> None:
    meeting = threading.Barrier(2, timeout=WAIT)
    busy = {"left": threading.Lock(), "right": threading.Lock()}

    def meet(lane: str) -> Callable[[Path], Mapping[str, object]]:
        def fill(into: Path) -> Mapping[str, object]:
            assert busy[lane].acquire(blocking=False), "two parts of one lane at once"
            meeting.wait()  # the other lane has to be here as well
            busy[lane].release()
            (into / "file").write_text(lane)
            return {}

        return fill

    wanted = [
        Part(f"{lane}-{number}", "0" * 64, lane, meet(lane))
        for lane in ("left", "right")
        for number in range(3)
    ]
    assert len(workshop.make(*wanted)) == 6


def test_it_says_what_was_made_and_what_is_under_way(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "HEARTBEAT", 0.01)
    heard = threading.Event()

    def say(line: str) -> None:
        workshop.said.append(line)
        if "making slow 0 s" in line:
            heard.set()

    def slow(into: Path) -> Mapping[str, object]:
        assert heard.wait(WAIT), workshop.said
        return {}

    make([Part("slow", "0" * 64, "lane", slow)], workshop.store, say)
    assert workshop.said[-1] == "0:00 slow: made in 0 s (1 of 1)"

"""What checks find: none hides another, and the exit code says whether ``make up`` works."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from slipway.doctor.findings import (
    Finding,
    Result,
    State,
    Unknown,
    all_of,
    decoded,
    encoded,
    fail,
    ok,
    unless,
    warn,
    works,
)
from slipway.errors import Problem, SlipwayError


def sound() -> Iterable[Result]:
    """A check with nothing to say against."""
    return [ok("enough")]


def raises(error: Exception) -> Iterable[Result]:
    """A check that does not come to its end."""
    raise error


def test_a_check_that_ends_with_an_exception_hides_no_other() -> None:
    found = all_of(
        "lab-1",
        {
            "memory": lambda: raises(ValueError("odd")),
            "disk": lambda: raises(Unknown("no such file")),
            "inventory": lambda: raises(
                SlipwayError([Problem("inventory a", "is twice", "once"), Problem("b", "too")])
            ),
            "cores": sound,
            "swap": lambda: [],
        },
    )
    assert [(each.check, each.state, each.where, each.found) for each in found] == [
        ("memory", State.WARN, "", "cannot be told: ValueError: odd"),
        ("disk", State.WARN, "", "cannot be told: no such file"),
        ("inventory", State.FAIL, "inventory a", "is twice"),
        ("inventory", State.FAIL, "b", "too"),
        ("cores", State.OK, "", "enough"),
    ]
    assert {each.machine for each in found} == {"lab-1"}


def test_a_check_that_ends_half_way_has_no_half_results() -> None:
    def half() -> Iterable[Result]:
        yield ok("so far")
        raise Unknown("the rest")

    assert [each.state for each in all_of("a", {"x": half})] == [State.WARN]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], True),
        ([ok("a"), warn("b", "c")], True),
        ([ok("a"), fail("b", "c"), ok("d")], False),
    ],
)
def test_make_up_works_with_warnings_and_not_with_failures(
    results: list[Result], expected: bool
) -> None:
    assert works(all_of("a", {"x": lambda: results})) is expected


def test_what_was_found_is_said_where_there_are_no_troubles() -> None:
    assert unless("enough", []) == [ok("enough")]
    assert unless("enough", iter([warn("little", "more")])) == [warn("little", "more")]


def test_the_json_has_the_answer_and_every_finding() -> None:
    findings = [
        Finding("a", "memory", State.OK, "8 GiB"),
        Finding("b", "inventory", State.FAIL, "is twice", "once", "inventory b"),
    ]
    report = encoded(findings)
    assert decoded(report) == findings
    document = json.loads(report)
    assert document["works"] is False
    assert document["findings"][1] == {
        "machine": "b",
        "check": "inventory",
        "state": "fail",
        "found": "is twice",
        "fix": "once",
        "where": "inventory b",
    }


def test_a_run_tells_a_finding_with_its_machine_unless_it_has_a_place() -> None:
    assert str(Finding("b", "memory", State.FAIL, "1 GiB", "more").problem) == (
        "b, memory: 1 GiB\n    fix: more"
    )
    assert Finding("b", "inventory", State.FAIL, "x", "", "inventory b").problem == Problem(
        "inventory b", "x"
    )

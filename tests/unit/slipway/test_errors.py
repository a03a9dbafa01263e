"""Errors with all their problems."""

from __future__ import annotations

from slipway.errors import Problem, SlipwayError


def test_an_error_tells_every_problem_and_its_fix() -> None:
    error = SlipwayError(Problem(f"app {name}", "is wrong", f"mend {name}") for name in "ab")
    assert [problem.where for problem in error.problems] == ["app a", "app b"]
    assert str(error) == ("app a: is wrong\n    fix: mend a\napp b: is wrong\n    fix: mend b")


def test_a_problem_without_a_fix_is_one_line() -> None:
    assert str(SlipwayError(Problem("apps.yml:3", "unknown key prot"))) == (
        "apps.yml:3: unknown key prot"
    )

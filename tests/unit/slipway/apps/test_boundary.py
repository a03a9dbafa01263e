"""Whatever goes wrong in an app's work is that app's failure, in words of use."""

from __future__ import annotations

import logging

import pytest

from slipway.apps.app import App
from slipway.apps.boundary import Boundary, failing, reason_of
from slipway.errors import Problem, SlipwayError, Told
from tests.support.apps import planned, reason

UNFORESEEN = [
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    ValueError("invalid literal for int()"),
    TypeError("unhashable type: 'list'"),
    KeyError("spec"),
    AttributeError("'list' object has no attribute 'get'"),
    UnicodeError("bad"),
    OSError("no space"),
    TimeoutError("timed out"),
    AssertionError(),
]


def raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_an_exception_is_named_with_whose_fault_it_may_be(error: Exception) -> None:
    app = planned()
    assert failing("deploy").run([app], raising, error) is None
    assert app.failed
    assert app.failed.step == "deploy"
    first, fix = app.failed.reason.splitlines()
    assert first.startswith(f"unexpected {type(error).__name__}")
    assert str(error) in first
    assert "a file of this branch" in fix


@pytest.mark.parametrize("error", [SlipwayError(Problem("a.yaml:1", "no")), Told("a.yaml:1: no")])
def test_what_is_foreseen_says_it_all_itself(error: Exception) -> None:
    assert reason_of(error) == "a.yaml:1: no"


def test_a_long_message_is_cut_and_a_trace_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "slipway"):
        logging.getLogger("slipway").propagate = True
        try:
            assert len(reason_of(ValueError("x" * 10_000))) < 800
        finally:
            logging.getLogger("slipway").propagate = False
    assert caplog.records[0].exc_info


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1)])
def test_the_users_interrupt_passes(end: BaseException) -> None:
    with pytest.raises(type(end)):
        failing("deploy").run([planned()], raising, end)


def test_the_end_of_the_run_passes() -> None:
    def check(error: Exception) -> None:
        if isinstance(error, OSError):
            raise error

    noted: list[str] = []
    boundary: Boundary[App] = Boundary(lambda _app, reason: noted.append(reason), check)
    with pytest.raises(OSError, match="cluster"):
        boundary.run([planned()], raising, OSError("the cluster is gone"))
    assert boundary.run([planned(), planned("quote")], raising, ValueError("x")) is None
    assert len(noted) == 2


def test_values_of_secrets_are_masked() -> None:
    app = planned()
    failing("build", lambda text: text.replace("s3cr3t", "***")).run(
        [app], raising, ValueError("s3cr3t")
    )
    assert "***" in reason(app)
    assert "s3cr3t" not in reason(app)

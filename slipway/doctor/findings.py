"""What is found at a check: whether it will do, and how to mend it if not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

import msgspec
from msgspec import Struct

from slipway.errors import Problem, SlipwayError


class State(StrEnum):
    """Whether what was found will do; with a warning, ``make up`` works."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Result(Struct, frozen=True):
    """What a check found; ``where`` is a place that is more exact than machine and check are."""

    state: State
    found: str
    fix: str = ""
    where: str = ""


class Finding(Struct, frozen=True):
    """A line of ``make doctor``."""

    machine: str
    check: str
    state: State
    found: str
    fix: str = ""
    where: str = ""

    @property
    def problem(self) -> Problem:
        """The finding as a run tells it."""
        return Problem(self.where or f"{self.machine}, {self.check}", self.found, self.fix)


class Unknown(Exception):
    """What a check needs to know could not be read; the text says why."""


Check = Callable[[], Iterable[Result]]
"""Gives nothing where there is nothing to check."""


def ok(found: str) -> Result:
    """What will do."""
    return Result(State.OK, found)


def warn(found: str, fix: str) -> Result:
    """What ``make up`` works with, but not as it should."""
    return Result(State.WARN, found, fix)


def fail(found: str, fix: str) -> Result:
    """What ``make up`` does not work with."""
    return Result(State.FAIL, found, fix)


def unless(found: str, troubles: Iterable[Result]) -> list[Result]:
    """The troubles or, where there are none, that what was found will do."""
    return [*troubles] or [ok(found)]


def all_of(machine: str, checks: Mapping[str, Check]) -> list[Finding]:
    """What the checks of a machine find, by their names; none keeps another from being made."""
    return [
        Finding(machine, name, each.state, each.found, each.fix, each.where)
        for name, check in checks.items()
        for each in _tried(check)
    ]


def _tried(check: Check) -> list[Result]:
    try:
        return [*check()]
    except SlipwayError as error:
        return [Result(State.FAIL, each.what, each.fix, each.where) for each in error.problems]
    except Unknown as unknown:
        return [warn(f"cannot be told: {unknown}", "look into what is said there")]
    except Exception as error:
        # A check that meets what nobody foresaw is not to hide the others, nor to end a run.
        return [warn(f"cannot be told: {type(error).__name__}: {error}", "report it as a mistake")]


def works(findings: Iterable[Finding]) -> bool:
    """Whether ``make up`` will work."""
    return all(each.state is not State.FAIL for each in findings)


def encoded(findings: Iterable[Finding]) -> bytes:
    """The findings as JSON, with the answer to whether ``make up`` will work."""
    found = [*findings]
    return msgspec.json.format(msgspec.json.encode({"works": works(found), "findings": found}))


def decoded(report: bytes) -> list[Finding]:
    """The findings of such a JSON text."""
    return msgspec.json.decode(report, type=_Report).findings


class _Report(Struct):
    works: bool
    findings: list[Finding]

"""One way to say what is wrong: every problem at once, each with its place and its mend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake, as a user reads it.

    ``where`` is the place (``apps.yml:12 apps[2].port``), ``what`` is what is wrong there and
    ``fix`` is what to do about it; ``fix`` may be empty when the reason already says it.
    """

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}"
        return f"{text}\n    fix: {self.fix}" if self.fix else text


class Told(ValueError):
    """A mistake in what somebody wrote; its text says what and where."""


class SlipwayError(Exception):
    """Raised with all the problems found; its text lists them one under another."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))

"""What a benchmark reports: figures beside what one would do instead, and their targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

HEADER = (
    "| what | Slipway | instead | takes | ratio | target | met |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


class Unit(Enum):
    """What a figure counts."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    BYTES = "B"

    def text(self, value: float) -> str:
        """``value`` with the unit."""
        decimals = {Unit.SECONDS: 2, Unit.MILLISECONDS: 1, Unit.BYTES: 0}[self]
        return f"{value:,.{decimals}f} {self.value}"


@dataclass(frozen=True)
class Target:
    """The range that a ratio, or a figure that stands alone, is to lie in."""

    least: float = -math.inf
    most: float = math.inf

    def __str__(self) -> str:
        if self.most == math.inf:
            return f"at least {self.least:,g}"
        if self.least == -math.inf:
            return f"at most {self.most:,g}"
        return f"{self.least:g} to {self.most:g}"

    def is_met(self, value: float) -> bool:
        """Whether ``value`` lies in the range."""
        return self.least <= value <= self.most


@dataclass(frozen=True)
class Figure:
    """One row of the table; the ratio is ``instead_value`` to ``value``."""

    what: str
    value: float
    unit: Unit = Unit.SECONDS
    instead: str = ""
    instead_value: float | None = None
    target: Target | None = None

    def row(self) -> str:
        """The figure as a row of a Markdown table."""
        ratio = None if self.instead_value is None else self.instead_value / self.value
        cells = [
            self.what,
            self.unit.text(self.value),
            self.instead,
            "" if self.instead_value is None else self.unit.text(self.instead_value),
            "" if ratio is None else _ratio(ratio),
        ]
        if self.target is None:
            cells += ["", ""]
        else:
            met = self.target.is_met(self.value if ratio is None else ratio)
            cells += [str(self.target), "yes" if met else "**no**"]
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Report:
    """The figures of one benchmark, how they were taken, and what else was seen."""

    figures: Sequence[Figure]
    notes: Sequence[str] = field(default_factory=tuple)

    def __str__(self) -> str:
        return "\n".join([HEADER, *(figure.row() for figure in self.figures), *self._notes()])

    def _notes(self) -> list[str]:
        return [f"\n{note}" for note in self.notes]


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3f}" if ratio < 2 else f"{ratio:.1f}"

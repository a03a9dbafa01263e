"""Text for a terminal: columns that line up, lists and lines that are not too long.

The page of all environments has this module too: it needs nothing but Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a line for each row, with the columns below one another; the rows are equally long."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def shortened(text: str, width: int) -> str:
    """Return a text that has no more characters than ``width``; an ellipsis ends what was cut."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return the first ``most`` names, and how many there are besides: ``a, b and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"

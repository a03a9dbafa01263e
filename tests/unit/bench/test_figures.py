"""The table of the benchmarks."""

from __future__ import annotations

import pytest

from bench.figures import HEADER, Figure, Report, Target, Unit


@pytest.mark.parametrize(
    ("figure", "row"),
    [
        (Figure("alone", 1.234), "| alone | 1.23 s |  |  |  |  |  |"),
        (
            Figure("short", 2.5, target=Target(most=3)),
            "| short | 2.50 s |  |  |  | at most 3 | yes |",
        ),
        (
            Figure("less than none", -0.01, target=Target(most=3)),
            "| less than none | -0.01 s |  |  |  | at most 3 | yes |",
        ),
        (
            Figure("long", 3.5, target=Target(most=3)),
            "| long | 3.50 s |  |  |  | at most 3 | **no** |",
        ),
        (
            Figure("quick", 1234.56, Unit.MILLISECONDS, target=Target(most=50)),
            "| quick | 1,234.6 ms |  |  |  | at most 50 | **no** |",
        ),
        (
            Figure("bytes", 1000, Unit.BYTES, "all", 2_000_000, Target(1000)),
            "| bytes | 1,000 B | all | 2,000,000 B | 2,000 | at least 1,000 | yes |",
        ),
        (
            Figure("slower", 4, instead="other", instead_value=2, target=Target(1)),
            "| slower | 4.00 s | other | 2.00 s | 0.500 | at least 1 | **no** |",
        ),
        (
            Figure("same", 1000, Unit.BYTES, "other", 1011, Target(0.99, 1.01)),
            "| same | 1,000 B | other | 1,011 B | 1.011 | 0.99 to 1.01 | **no** |",
        ),
        (
            Figure("faster", 0.5, instead="other", instead_value=12),
            "| faster | 0.50 s | other | 12.00 s | 24.0 |  |  |",
        ),
    ],
)
def test_a_row_has_the_ratio_and_says_whether_the_target_is_met(figure: Figure, row: str) -> None:
    assert figure.row() == row


def test_notes_follow_the_table_as_paragraphs() -> None:
    report = str(Report([Figure("alone", 1)], ["first", "second"]))
    assert report == f"{HEADER}\n{Figure('alone', 1).row()}\n\nfirst\n\nsecond"

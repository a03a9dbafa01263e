"""What is shown of a tool's output."""

from __future__ import annotations

from slipway.run import last_lines


def test_last_lines_are_indented_and_blank_ones_left_out() -> None:
    assert last_lines("one\n\ntwo  \n   \nthree\n", 2) == "    | two\n    | three"
    assert last_lines("") == ""

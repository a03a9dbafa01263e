"""Columns that line up, and lists and lines that are not too long."""

from __future__ import annotations

import pytest

from slipway.text import aligned, listed, shortened


def test_columns_are_below_one_another_and_lines_end_with_their_text() -> None:
    rows = [("APP", "STATE"), ("greeter", "ok"), ("", "failed")]
    assert aligned(rows) == ["APP      STATE", "greeter  ok", "         failed"]
    assert aligned([]) == []


def test_a_row_of_another_length_is_no_row_of_the_table() -> None:
    with pytest.raises(ValueError, match="shorter"):
        aligned([("a", "b"), ("c",)])


def test_a_text_is_cut_only_when_it_is_too_long() -> None:
    assert shortened("abcd", 4) == "abcd"
    assert shortened("abcde", 4) == "abc…"


def test_of_a_long_list_the_first_few_are_named_and_the_others_counted() -> None:
    assert listed([*"abcde"]) == "a, b, c, d, e"
    assert listed([*"abcdefg"]) == "a, b, c, d, e and 2 more"
    assert listed([*"abc"], 2) == "a, b and 1 more"
    assert listed([]) == ""

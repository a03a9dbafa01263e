"""Comments become descriptions."""

from __future__ import annotations

from docs import variables


def test_comments_are_read_as_they_are_meant() -> None:
    text = (
        "# About the file.\n\n# One\n# two.\na: 1\nb:\n  # Inside.\n  c: 2\n# Three.\nd: 3\n"
        "e: 4\n\nf: 5\n"
    )
    assert variables.comments(text) == {
        "a": "One two.",
        "b": "One two.",
        "d": "Three.",
        "e": "Three.",
        "f": "",
    }

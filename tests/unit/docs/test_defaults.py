"""Descriptions become the comments of defaults."""

from __future__ import annotations

from docs import defaults


def test_defaults_keep_their_values_below_what_is_specified() -> None:
    text = "---\n# Old.\na: 1\nb:\n  # Inside.\n  c: 2\n\nd: >-\n  {{ e }}\n"
    assert defaults.commented(text, {"d": "Three.", "a": "One " * 40, "b": "Two."}) == (
        "---\n# Three.\nd: >-\n  {{ e }}\n\n"
        f"# {'One ' * 23}One\n# {'One ' * 15}One\na: 1\n\n"
        "# Two.\nb:\n  # Inside.\n  c: 2\n"
    )

"""Names that are made of branches."""

from __future__ import annotations

import pytest

from slipway.apps.names import namespace_of, slug


@pytest.mark.parametrize(
    ("branch", "label"),
    [
        ("main", "main"),
        ("feature/Login_2", "feature-login-2"),
        ("-./x./", "x"),
        ("a" * 50, "a" * 50),
        ("a" * 51, "a" * 43 + "-bfc5fe"),
        ("b" * 42 + "/" + "c" * 20, "b" * 42 + "-4b2e41"),
        ("ветка", "d3638b"),
    ],
)
def test_slug(branch: str, label: str) -> None:
    assert slug(branch) == label


def test_long_branches_stay_apart() -> None:
    assert slug("a" * 60 + "1") != slug("a" * 60 + "2")
    name = "n" * 50
    assert len(namespace_of(name, "b" * 50)) == 63
    assert namespace_of(name, "b" * 50) != namespace_of(name, "b" * 49 + "c")

"""Names that are made of branches."""

from __future__ import annotations

import re

import pytest

from slipway.apps.names import namespace_of, slug


@pytest.mark.parametrize(
    ("branch", "label"),
    [
        ("main", "main"),
        ("feature/Login_2", "feature-login-2"),
        ("dependabot/npm_and_yarn/web-1.2.3", "dependabot-npm-and-yarn-web-1-2-3"),
        ("a" * 50, "a" * 50),
        ("a" * 51, "a" * 43 + "-bfc5fe"),
        ("b" * 42 + "/" + "c" * 20, "b" * 42 + "-4b2e41"),
        ("ветка", "d3638b"),
        ("feature/кнопка", "feature-4b1968"),
        ("feature/Crème", "feature-cr-me-4a2f06"),
        ("fix/#12", "fix-12-dcb88c"),
    ],
)
def test_slug(branch: str, label: str) -> None:
    assert slug(branch) == label


LOOK_ALIKES = [
    "feature/кнопка",
    "feature/кнопки",
    "feature/按钮",
    "feature/ボタン",
    "feature/زر",
    "feature/🚀",
    "feature/🚀🚀",
    "feature/\u00e9",
    "feature/e\u0301",
    "feature/e",
    "feature/\u212a",  # the sign of kelvin, which is a k in lower case
    "feature/k",
    "feature/\u0661",
    "feature/1",
    "feature/c",
    "feature/c++",
    "feature/c#",
    "feature/c--",
    "feature/-c",
    "feature/_",
    "feature/__",
    "feature/+",
    "feature/!",
    "feature",
    f"feature/{'ж' * 100}",
    f"feature/{'ж' * 99}",
]


def test_branches_that_a_label_cannot_tell_stay_apart() -> None:
    slugs = {branch: slug(branch) for branch in LOOK_ALIKES}
    assert len(set(slugs.values())) == len(slugs), slugs
    labels = [*slugs.values(), *(namespace_of("web", branch) for branch in slugs)]
    assert [
        each for each in labels if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", each)
    ] == []
    assert max(map(len, slugs.values())) <= 50


def test_long_branches_stay_apart() -> None:
    assert slug("a" * 60 + "1") != slug("a" * 60 + "2")
    name = "n" * 50
    assert len(namespace_of(name, "b" * 50)) == 63
    assert namespace_of(name, "b" * 50) != namespace_of(name, "b" * 49 + "c")

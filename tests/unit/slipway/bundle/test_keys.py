"""Keys: what changes them and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.bundle.keys import key_of


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with a file in a folder of its own."""
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_text("content")
    return tree


def test_equal_inputs_have_equal_keys(tree: Path) -> None:
    assert key_of(1, {"a": 1, "b": 2}, tree) == key_of(1, {"b": 2, "a": 1}, tree)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), (2,)),
        ((1, 2), (2, 1)),
        (("ab", "c"), ("a", "bc")),
        ((["a"],), (["a", "a"],)),
        ((True,), ("true",)),
    ],
)
def test_other_values_have_other_keys(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    assert key_of(*one) != key_of(*other)


def test_where_a_path_lies_does_not_count(tree: Path, tmp_path: Path) -> None:
    before = key_of(tree, tree / "sub" / "file")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    tree.rename(moved / "tree")
    assert key_of(moved / "tree", moved / "tree" / "sub" / "file") == before


def test_content_counts(tree: Path) -> None:
    before = key_of(tree)
    (tree / "sub" / "file").write_text("Content")
    assert key_of(tree) != before


def test_names_count(tree: Path) -> None:
    before = key_of(tree), key_of(tree / "sub" / "file")
    (tree / "sub" / "file").rename(tree / "sub" / "other")
    after = key_of(tree), key_of(tree / "sub" / "other")
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_what_python_leaves_behind_does_not_count(tree: Path) -> None:
    before = key_of(tree)
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "module.pyc").write_bytes(b"compiled")
    assert key_of(tree) == before

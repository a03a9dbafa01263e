"""The manifest: what it lists and what it notices."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from slipway.bundle import manifest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory of two files with its manifest."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_bytes(b"tool")
    (root / "notes").write_bytes(b"notes")
    manifest.write(root, {"version": "1.2.3"})
    return root


def test_it_lists_every_file_with_its_sum_and_what_there_is_to_say(root: Path) -> None:
    assert manifest.read(root) == {
        "about": {"version": "1.2.3"},
        "sha256": {
            "bin/tool": hashlib.sha256(b"tool").hexdigest(),
            "notes": hashlib.sha256(b"notes").hexdigest(),
        },
    }


def test_nothing_is_damaged_in_what_was_just_written(root: Path) -> None:
    assert manifest.damaged(root) == []


def test_writing_it_again_does_not_list_the_manifest_itself(root: Path) -> None:
    before = manifest.read(root)
    manifest.write(root, {"version": "1.2.3"})
    assert manifest.read(root) == before


def test_a_bundle_may_say_of_which_parts_it_was_made(root: Path) -> None:
    assert manifest.parts(root) is None
    manifest.write(root, {"parts": ["go-0123", "packages-4567"]})
    assert manifest.parts(root) == ["go-0123", "packages-4567"]
    assert manifest.parts(root / "elsewhere") is None


def test_a_changed_file_of_the_same_size_is_damaged(root: Path) -> None:
    (root / "bin" / "tool").write_bytes(b"loot")
    assert manifest.damaged(root) == ["bin/tool"]


def test_missing_files_are_damaged(root: Path) -> None:
    (root / "bin" / "tool").unlink()
    (root / "notes").unlink()
    (root / "notes").mkdir()
    assert manifest.damaged(root) == ["bin/tool", "notes"]


def test_a_file_that_was_not_there_before_is_no_damage(root: Path) -> None:
    (root / "more").write_bytes(b"more")
    assert manifest.damaged(root) == []


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff"])
def test_without_a_manifest_that_can_be_read_nothing_is_known(
    root: Path, content: bytes | None
) -> None:
    (root / manifest.MANIFEST).unlink()
    if content is not None:
        (root / manifest.MANIFEST).write_bytes(content)
    assert manifest.damaged(root) is None


def test_what_was_found_right_is_not_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def sha256_of(path: Path) -> str:
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(manifest, "sha256_of", sha256_of)
    assert manifest.damaged(root) == []
    assert manifest.damaged(root) == []
    assert sorted(read) == ["notes", "tool"]
    (root / "notes").write_bytes(b"notes")
    assert manifest.damaged(root) == []
    assert sorted(read) == ["notes", "notes", "tool"]


def test_damage_is_found_behind_an_old_time_and_however_often_it_is_asked(root: Path) -> None:
    assert manifest.damaged(root) == []
    before = (root / "notes").stat()
    (root / "notes").write_bytes(b"other")
    os.utime(root / "notes", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert manifest.damaged(root) == ["notes"]
    assert manifest.damaged(root) == ["notes"]
    (root / "notes").write_bytes(b"notes")
    assert manifest.damaged(root) == []


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read for their sums."""
    names: list[str] = []

    def noted(path: Path) -> str:
        names.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(manifest, "sha256_of", noted)
    return names


def test_the_sum_of_what_was_found_right_is_known(root: Path, read_files: list[str]) -> None:
    assert manifest.damaged(root) == []
    read_files.clear()
    sums = manifest.KnownSums()
    assert sums.of(root / "bin" / "tool") == hashlib.sha256(b"tool").hexdigest()
    assert sums.of(root / "notes") == hashlib.sha256(b"notes").hexdigest()
    assert read_files == []


def test_the_sum_of_what_changed_or_nobody_looked_at_is_read(
    root: Path, read_files: list[str]
) -> None:
    assert manifest.KnownSums().of(root / "notes") == hashlib.sha256(b"notes").hexdigest()
    assert manifest.damaged(root) == []
    (root / "notes").write_bytes(b"faked")
    other = root.parent / "other"
    other.write_bytes(b"other")
    read_files.clear()
    sums = manifest.KnownSums()
    assert sums.of(root / "notes") == hashlib.sha256(b"faked").hexdigest()
    assert sums.of(other) == hashlib.sha256(b"other").hexdigest()
    assert read_files == ["notes", "other"]

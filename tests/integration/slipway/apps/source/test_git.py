"""Single files of commits, out of the mirror of a real repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.source.git import Mirror
from slipway.files import Refused
from tests.support.git_samples import commit, git

LARGEST = 1024


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that has something on its branch main."""
    folder = tmp_path / "repository"
    commit(folder, {"plain.yml": "plain", "deep/er/plain.yml": "deep", "bytes.yml": "\u20ac"})
    return folder


@pytest.fixture
def mirror(repository: Path, tmp_path: Path) -> Mirror:
    """Its mirror, into which nothing was fetched yet."""
    return Mirror(str(repository), tmp_path / "cache")


def read(mirror: Mirror, head: str, *paths: str) -> list[bytes | str | None]:
    """What each file of a commit has, or why it is refused."""
    mirror.fetch(["main"])
    found = mirror.files([(head, path) for path in paths], LARGEST)
    return [str(each) if isinstance(each, Refused) else each for each in found]


def test_files_are_read_as_they_are_in_the_commit(repository: Path, mirror: Mirror) -> None:
    head = commit(repository, {"large.yml": "x" * LARGEST, "larger.yml": "x" * (LARGEST + 1)})
    assert read(mirror, head, "plain.yml", "deep/er/plain.yml", "bytes.yml", "large.yml") == [
        b"plain",
        b"deep",
        "\u20ac".encode(),
        b"x" * LARGEST,
    ]
    assert read(mirror, head, "larger.yml", "deep") == [
        "it is longer than 1 KiB",
        "it is no file",
    ]
    assert read(mirror, head, "none.yml", "none/plain.yml", "plain.yml/none", "plain.yml") == [
        None,
        None,
        None,
        b"plain",
    ]


def test_links_are_followed_within_the_commit_alone(repository: Path, mirror: Mirror) -> None:
    forged = f"x\n{git(repository, 'rev-parse', 'HEAD:plain.yml')} blob 5"
    for name, target in {
        "within": "deep/er/plain.yml",
        "folder": "deep/er",
        "out": "../other",
        "device": "/dev/zero",
        "passwd": "/etc/passwd",
        "forged": f"/{forged}",
        "dangling": forged,
        "loop": "loop",
    }.items():
        (repository / name).symlink_to(target)
    head = commit(repository, {})
    out = "it is a link that leads out of the repository"
    assert read(mirror, head, "within", "folder/plain.yml", "out", "device", "passwd") == [
        b"deep",
        b"deep",
        out,
        out,
        out,
    ]
    # What a link leads to may look like an answer: those that follow are still the right ones.
    assert read(mirror, head, "forged", "dangling", "plain.yml", "loop", "within") == [
        out,
        "it is a link to what is not there",
        b"plain",
        "it is a link to itself",
        b"deep",
    ]


def test_each_commit_has_its_own(repository: Path, mirror: Mirror) -> None:
    before = git(repository, "rev-parse", "HEAD")
    now = commit(repository, {"plain.yml": "changed"})
    assert read(mirror, before, "plain.yml") == [b"plain"]
    assert mirror.files([(now, "plain.yml"), (before, "plain.yml")], LARGEST) == [
        b"changed",
        b"plain",
    ]


def test_before_anything_was_fetched_there_is_nothing(repository: Path, mirror: Mirror) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert mirror.files([(head, "plain.yml")], LARGEST) == [None]


def test_a_folder_in_a_submodule_is_known_as_such(
    repository: Path, mirror: Mirror, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    commit(other, {"service/plain.yml": "other"})
    allowed = ("-c", "protocol.file.allow=always")
    git(repository, *allowed, "submodule", "--quiet", "add", str(other), "vendor/other")
    head = commit(repository, {})
    assert read(mirror, head, "vendor/other/service/plain.yml") == [None]
    assert mirror.submodule(head, "vendor/other/service") == "vendor/other"
    assert mirror.submodule(head, "vendor/other") == "vendor/other"
    assert mirror.submodule(head, "vendor") == mirror.submodule(head, "deep/er") == ""

"""The lock of Debian's packages: what it has, what has changed since, and what never may."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from slipway.architecture import Architecture
from slipway.bundle.debian import Package
from slipway.bundle.debian_lock import as_text, changes, mend, read, refuse_forged, told
from slipway.errors import SlipwayError


def package(version: str = "1.0-1", sha256: str = "aa", architecture: str = "amd64") -> Package:
    return Package(version, architecture, "source", version, sha256)


IMAGES = [
    {"zlib1g": package("1:1.3"), "adduser": package("3.1", architecture="all")},
    {"zlib1g": package("1:1.3"), "bash": package("5.2")},
]
"""The packages of two images."""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "debian-trixie.lock"
    path.write_text(as_text(IMAGES, {}))
    return path


def test_it_has_each_package_once_in_order(lock: Path) -> None:
    head, *lines = lock.read_text().splitlines()
    assert head.startswith("# ")
    assert lines == ["adduser 3.1 all aa", "bash 5.2 amd64 aa", "zlib1g 1:1.3 amd64 aa"]


def test_what_is_as_it_was_is_no_change(lock: Path) -> None:
    assert changes(IMAGES, read(lock)) == []
    for packages in IMAGES:
        refuse_forged("node", packages, read(lock))


def test_changes_are_named_once_with_both_versions(lock: Path) -> None:
    found = [{"bash": package("5.3")}, {"bash": package("5.3"), "dash": package("0.5")}]
    assert changes(found, read(lock)) == ["bash 5.2 -> 5.3", "dash new -> 0.5"]


def test_a_package_of_another_processor_is_another_one(lock: Path) -> None:
    found = {"bash": package("5.2", sha256="bb", architecture="arm64")}
    refuse_forged("node", found, read(lock))
    assert changes([found], read(lock)) == []
    assert changes([found], read(lock), strict=True) == ["bash new -> 5.2"]


def test_what_was_recorded_of_another_processor_stays(lock: Path) -> None:
    any_ = package("1", architecture="all")
    found = {"bash": package("5.3", architecture="arm64"), "e": any_}
    lock.write_text(as_text([found], read(lock)))
    assert read(lock)["bash", "amd64"] == ("5.2", "aa")
    assert read(lock)["bash", "arm64"] == ("5.3", "aa")
    assert read(lock)["adduser", "all"] == ("3.1", "aa")
    lock.write_text(as_text([{"dash": package("0.5")}], read(lock)))
    names = {("adduser", "all"), ("e", "all"), ("bash", "arm64"), ("dash", "amd64")}
    assert {*read(lock)} == names


def test_what_another_processor_needs_of_packages_for_any_is_no_change_unless_that_is_recorded(
    lock: Path,
) -> None:
    own = {"zlib1g": package("1:1.3", architecture="arm64")}
    any_ = {"adduser": package("3.1", architecture="all"), "e": package("1", architecture="all")}
    assert changes([own | any_], read(lock)) == []
    newer = {**any_, "adduser": package("3.2", architecture="all")}
    assert changes([own | newer], read(lock)) == ["adduser 3.1 -> 3.2"]
    lock.write_text(as_text([own], read(lock)))
    assert changes([own | any_], read(lock)) == ["e new -> 1"]
    assert changes([{"e": package("1", architecture="all")}], {}) == []


def test_the_lock_of_another_processor_is_asked_for_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert mend(Architecture.AMD64) == "make lock records what the archive has now"
    asked = 'make lock ARGS="debian --architecture=arm64" records what the archive has now'
    assert mend(Architecture.ARM64) == asked


def test_a_line_names_the_first_changes_and_counts_the_others(lock: Path) -> None:
    few = told(["a 1 -> 2", "b 1 -> 2"], lock)
    assert few.endswith(
        "2 of Debian's packages are not as in debian-trixie.lock: a 1 -> 2, b 1 -> 2"
    )
    many = told([f"p{number:02} 1 -> 2" for number in range(30)], lock)
    assert many.startswith("30 of Debian's packages")
    assert many.endswith("p09 1 -> 2 and 20 more")


def test_all_that_has_another_content_is_refused_at_once(lock: Path) -> None:
    found = {
        "adduser": package("3.1", sha256="bb", architecture="all"),
        "bash": package("5.2", sha256="cc"),
        "zlib1g": package("1:1.4", sha256="dd"),
    }
    with pytest.raises(SlipwayError) as caught:
        refuse_forged("node", found, read(lock))
    assert [problem.what for problem in caught.value.problems] == [
        "adduser 3.1 has the sha256 bb, and had aa",
        "bash 5.2 has the sha256 cc, and had aa",
    ]
    assert {problem.where for problem in caught.value.problems} == {"packages of node"}


def test_without_a_lock_nothing_is_known(tmp_path: Path) -> None:
    assert read(tmp_path / "debian-sid.lock") == {}
    refuse_forged("node", IMAGES[0], {})

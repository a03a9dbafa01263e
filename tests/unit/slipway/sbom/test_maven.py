"""Archives of Java that are known by what Maven has downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.sbom.maven import Repositories
from slipway.sbom.packages import Package

SHA1 = "0a" * 20
UNNAMED = Package("maven", "spring-core", "5.3.2", hashes=(("SHA-1", SHA1),))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A local repository with one archive."""
    folder = tmp_path / "org" / "springframework" / "spring-core" / "5.3.2"
    folder.mkdir(parents=True)
    (folder / "spring-core-5.3.2.jar.sha1").write_text(f"{SHA1}  spring-core-5.3.2.jar\n")
    (folder / "spring-core-5.3.2.pom.sha1").write_text("0b" * 20)
    return tmp_path


def test_an_archive_has_the_group_that_it_was_downloaded_of(repository: Path) -> None:
    found = Repositories([repository / "none", repository]).known(UNNAMED)
    assert found == Package("maven", "spring-core", "5.3.2", "org.springframework")
    assert found.hashes == UNNAMED.hashes


@pytest.mark.parametrize(
    "package",
    [
        Package("maven", "spring-core", "5.3.2", hashes=(("SHA-1", "0b" * 20),)),
        Package("maven", "spring-core", "5.3.3", hashes=(("SHA-1", SHA1),)),
        Package("maven", "spring-core", "5.3.2"),
        Package("pypi", "spring-core", "5.3.2", hashes=(("SHA-1", SHA1),)),
    ],
)
def test_any_other_stays_as_it_is(repository: Path, package: Package) -> None:
    assert Repositories([repository]).known(package) == package


def test_what_builds_wrote_there_does_no_harm(repository: Path) -> None:
    folder = repository / "a\nb" / "spring-core" / "5.3.2"
    folder.mkdir(parents=True)
    (folder / "spring-core-5.3.2.jar.sha1").write_text(SHA1)
    (repository / "x.jar.sha1").write_text("")
    (repository / "c" / "spring-core" / "5.3.2").mkdir(parents=True)
    (repository / "c" / "spring-core" / "5.3.2" / "spring-core-5.3.2.jar.sha1").mkdir()
    assert Repositories([repository]).known(UNNAMED).group == "org.springframework"

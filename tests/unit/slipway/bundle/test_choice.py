"""Which provider a run has each of its bundles from, and the line that says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.architecture import Architecture
from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.choice import Choice, chosen
from slipway.bundle.download import Login
from slipway.bundle.source import SourceProvider
from slipway.errors import SlipwayError
from tests.support.bundles import Maker, silent

AMD64, ARM64 = Architecture.AMD64, Architecture.ARM64


def args(**changes: Any) -> dict[str, Any]:
    """The options of a module; nothing is named."""
    return {
        "provider": "auto",
        "archive": [],
        "signers": "",
        "login": {},
        "secrets": {"files": "password"},
        "project": "/srv/slipway",
        "versions": {"kubernetes": "1.36.3", "jre": 21},
        "cache": "/var/cache/slipway",
        "strict": False,
        **changes,
    }


def only(found: dict[Architecture, Choice]) -> Choice:
    """The choice of one."""
    (choice,) = found.values()
    return choice


@pytest.mark.parametrize(
    ("provider", "place", "kind", "why"),
    [
        ("auto", "", SourceProvider, "from source, as no archive is named"),
        ("source", "/x", SourceProvider, "from source, as bundle_provider says so"),
        ("auto", "/x", ArchiveProvider, "from the archive /x, as slipway_bundle names it"),
        ("archive", "/x", ArchiveProvider, "from the archive /x, as slipway_bundle names it"),
        (
            "auto",
            "https://ada:secret@files.test/x?token=secret",
            ArchiveProvider,
            "from the archive https://files.test/x, as slipway_bundle names it",
        ),
    ],
)
def test_an_archive_that_is_named_comes_first(
    provider: str, place: str, kind: type, why: str
) -> None:
    choice = only(chosen(args(provider=provider, archive=[place]), [ARM64], silent))
    assert isinstance(choice.provider, kind)
    assert choice.why == why
    assert choice.provider.versions == {"kubernetes": "1.36.3", "jre": "21"}
    assert choice.provider.cache.root == Path("/var/cache/slipway")


def test_an_archive_that_is_wanted_and_not_named_is_told() -> None:
    with pytest.raises(SlipwayError, match="bundle_provider: is archive, and none is named"):
        chosen(args(provider="archive"), [AMD64], silent)


def test_signers_and_login_go_with_it() -> None:
    login = {"user": "ada", "password": "files"}
    given = args(archive=["/x"], signers="/etc/signers", login=login)
    provider = only(chosen(given, [AMD64], silent)).provider
    assert isinstance(provider, ArchiveProvider)
    assert provider.signers == Path("/etc/signers")
    assert provider.login == Login("ada", "password")


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({"user": "ada"}, "has other keys than user and password"),
        ({"user": "ada", "password": "files", "host": "x"}, "has other keys"),
        ({"user": "ada", "password": "none"}, "password: is not in slipway_secrets"),
    ],
)
def test_a_login_that_cannot_be_is_told(login: dict[str, str], words: str) -> None:
    with pytest.raises(SlipwayError, match=words):
        chosen(args(archive=["/x"], login=login), [AMD64], silent)


@pytest.fixture
def made(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def test_what_is_made_from_source_is_for_its_architecture_and_strict_if_that_is_wanted() -> None:
    found = chosen(args(strict=True), [ARM64, AMD64], silent)
    providers = [choice.provider for choice in found.values()]
    assert [*found] == [ARM64, AMD64]
    assert all(isinstance(each, SourceProvider) and each.strict for each in providers)
    assert [getattr(each, "architecture", None) for each in providers] == [ARM64, AMD64]


def test_an_archive_serves_what_it_was_made_for_and_the_others_come_from_source(
    made: Maker,
) -> None:
    archive = made(platform="linux/arm64")
    found = chosen(args(archive=[str(archive)]), [AMD64, ARM64], silent)
    assert isinstance(found[AMD64].provider, SourceProvider)
    assert found[AMD64].why == "from source, as no archive is for amd64"
    provider = found[ARM64].provider
    assert isinstance(provider, ArchiveProvider)
    assert (provider.place, provider.source.architecture) == (str(archive), ARM64)
    assert found[ARM64].why == f"from the archive {archive}, as slipway_bundle names it"


def test_of_several_archives_each_serves_its_own_and_what_nobody_wants_is_left(
    made: Maker,
) -> None:
    of_arm, of_amd = (str(made(platform=f"linux/{each}")) for each in (ARM64, AMD64))
    for wanted in ([AMD64, ARM64], [AMD64]):
        found = chosen(args(provider="archive", archive=[of_arm, f" {of_amd}"]), wanted, silent)
        places = {each: getattr(choice.provider, "place", "") for each, choice in found.items()}
        assert places == {each: {AMD64: of_amd, ARM64: of_arm}[each] for each in wanted}


def test_where_archives_alone_are_wanted_one_that_is_lacking_is_told(made: Maker) -> None:
    archive = made(platform="linux/amd64")
    given = args(provider="archive", archive=[str(archive)])
    with pytest.raises(SlipwayError) as caught:
        chosen(given, [AMD64, ARM64], silent)
    (problem,) = caught.value.problems
    assert problem.where == "slipway_bundle"
    assert problem.what == f"has no archive for linux/arm64: {archive} is for linux/amd64"
    assert "make bundle ARCH=arm64 OUT=..." in problem.fix


def test_archives_of_which_none_is_wanted_are_told(made: Maker) -> None:
    archive = made(platform="linux/s390x")
    with pytest.raises(SlipwayError, match="is for linux/s390x") as caught:
        chosen(args(archive=[str(archive)]), [AMD64, ARM64], silent)
    assert len(caught.value.problems) == 2


def test_all_archives_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    places = [f"{tmp_path}/a", f"{tmp_path}/b"]
    with pytest.raises(SlipwayError) as caught:
        chosen(args(archive=places), [AMD64], silent)
    assert [problem.where for problem in caught.value.problems] == places

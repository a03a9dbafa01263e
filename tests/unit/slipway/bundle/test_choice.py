"""Which provider a run has its bundle from, and the line that says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.choice import chosen
from slipway.bundle.download import Login
from slipway.bundle.source import SourceProvider
from slipway.errors import SlipwayError
from tests.support.bundles import silent


def args(**changes: Any) -> dict[str, Any]:
    """The options of a module; nothing is named."""
    return {
        "provider": "auto",
        "archive": "",
        "signers": "",
        "login": {},
        "secrets": {"files": "password"},
        "project": "/srv/slipway",
        "versions": {"kubernetes": "1.36.3", "jre": 21},
        "cache": "/var/cache/slipway",
        "strict": False,
        **changes,
    }


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
    choice = chosen(args(provider=provider, archive=place), silent)
    assert isinstance(choice.provider, kind)
    assert choice.why == why
    assert choice.provider.versions == {"kubernetes": "1.36.3", "jre": "21"}
    assert choice.provider.cache.root == Path("/var/cache/slipway")


def test_an_archive_that_is_wanted_and_not_named_is_told() -> None:
    with pytest.raises(SlipwayError, match="bundle_provider: is archive, and none is named"):
        chosen(args(provider="archive"), silent)


def test_signers_and_login_go_with_it() -> None:
    given = args(archive="/x", signers="/etc/signers", login={"user": "ada", "password": "files"})
    provider = chosen(given, silent).provider
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
        chosen(args(archive="/x", login=login), silent)

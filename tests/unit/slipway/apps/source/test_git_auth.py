"""What is said of ways into repositories that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.source.fetch import get_sources
from slipway.apps.source.git_auth import Keys
from slipway.secrets import Secrets
from tests.support.apps import planned, reason

TOKEN = "canary-Tok3n/with+signs"


@pytest.mark.parametrize(
    ("url", "value", "words"),
    [
        ("https://git.test/web.git", "", "secret t: is not there or is empty"),
        ("https://git.test/web.git", "two\nlines", "secret t: has more than one line"),
        ("http://git.test/web.git", TOKEN, "begins with https://"),
    ],
)
def test_tokens_that_cannot_be_used(tmp_path: Path, url: str, value: str, words: str) -> None:
    app = planned(git_url=url, git_auth={"token": "t"})
    keys = Keys(Secrets({"t": value}))
    [got] = get_sources([app], tmp_path / "cache", check=False, say=print, keys=keys).apps
    assert words in reason(got)

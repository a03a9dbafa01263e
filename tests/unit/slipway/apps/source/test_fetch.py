"""Sources that are not asked for."""

from __future__ import annotations

from pathlib import Path

from slipway.apps.app import Sourced, checkouts_of
from slipway.apps.source.fetch import get_sources
from tests.support.apps import planned


def test_an_image_alone_has_no_source_but_a_version(tmp_path: Path) -> None:
    redis = planned(git_url="", build={"tool": "image", "ref": "redis:8"})
    [found] = get_sources([redis], tmp_path, check=True, say=print).apps
    assert isinstance(found, Sourced)
    assert (found.commit, found.newest_commit, found.checkout) == ("8", "8", "")
    assert checkouts_of([found]) == set()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_app_stays_as_it_is(tmp_path: Path) -> None:
    failed = planned(failed={"step": "plan", "reason": "x"})
    assert get_sources([failed], tmp_path, check=False, say=print).apps == [failed]

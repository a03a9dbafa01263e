"""Sources that are not asked for."""

from __future__ import annotations

from pathlib import Path

from slipway.apps.source.fetch import get_sources
from tests.support.apps import planned


def test_a_failed_app_stays_as_it_is(tmp_path: Path) -> None:
    failed = planned(failed={"step": "plan", "reason": "x"})
    assert get_sources([failed], tmp_path, check=False, say=print).apps == [failed]

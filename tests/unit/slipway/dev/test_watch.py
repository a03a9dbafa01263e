"""What is shown of a change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from slipway.dev.watch import differences

BEFORE = {"file": "1", "heads": {"/web": {"main": "a" * 40, "old": "b" * 40}}}


@pytest.mark.parametrize(
    ("now", "lines"),
    [
        (BEFORE, []),
        ({**BEFORE, "file": "2"}, ["apps.yml has changed"]),
        (
            {"file": "1", "heads": {"/web": {"main": "c" * 40, "new": "d" * 40}}},
            ["/web: main is at ccccccc", "/web: new is at ddddddd", "/web: old is gone"],
        ),
        (
            {"file": "2", "heads": {"/shop": {"main": "c" * 40}}},
            ["apps.yml has changed", "/shop: main is at ccccccc"],
        ),
        ({"file": "1", "heads": {"/web": {}}}, ["/web: main is gone", "/web: old is gone"]),
    ],
)
def test_a_line_for_each_difference(now: dict[str, Any], lines: Sequence[str]) -> None:
    assert [*differences(BEFORE, now)] == lines

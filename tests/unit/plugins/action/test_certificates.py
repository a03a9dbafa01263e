"""Why certificates are made anew is said, also where that fails."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.action import certificates
from tests.support.fake_ansible import action

ARGS = {"node": "cp", "endpoint": "192.0.2.2:6443", "version": "1.36.3", "timeout": 5}


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"changed": True, "last": "2026-12-20", "ended": False}, "end on 2026-12-20: they are"),
        ({"changed": True, "last": "2026-11-28", "ended": True}, "and who has one is refused"),
        ({"failed": True, "msg": "no", "last": "2026-11-28", "ended": True}, "ended on 2026-11-28"),
        ({"changed": True, "last": "", "ended": False}, "by a run that was ended"),
        ({"changed": False, "last": "", "ended": False}, ""),
        ({"failed": True, "msg": "no Python"}, ""),
    ],
)
def test_a_line_says_why(
    monkeypatch: pytest.MonkeyPatch, result: dict[str, Any], words: str
) -> None:
    said: list[str] = []
    plugin = action(certificates.ActionModule, ARGS)
    monkeypatch.setattr(plugin, "on_node", lambda *_: result)
    monkeypatch.setattr(plugin, "say", lambda *lines: said.extend(lines))
    plugin.run()
    assert len(said) == bool(words)
    assert words in "".join(said)

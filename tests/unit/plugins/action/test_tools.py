"""Tools and engine of the control node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from plugins.action import tools
from slipway.control_node import tools as library
from tests.support.fake_ansible import action


class FakeEngine:
    """An engine that notes what is done to it."""

    def __init__(self, *, answers: bool = False, ours: bool = False, in_use: bool = False) -> None:
        self._answers = answers
        self._ours = ours
        self._in_use = in_use
        self.installed = True
        self.did: list[str] = []

    def answers(self) -> bool:
        """As prepared; nothing can be asked without its command."""
        assert self.installed
        return self._answers

    def install(self, names: Iterable[str], _say: object) -> None:
        """Note."""
        self.did.append(f"install {' '.join(names)}")
        self.installed = True

    def is_ours(self) -> bool:
        """As prepared."""
        return self._ours

    def start(self, _say: object) -> None:
        """Note."""
        self.did.append("start")

    def stop(self) -> None:
        """Note."""
        self.did.append("stop")

    def has_containers(self) -> bool:
        """As prepared."""
        return self._in_use


def tools_run(
    monkeypatch: pytest.MonkeyPatch,
    engine: FakeEngine,
    wanted: str,
    *,
    check: bool = False,
    missing: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Run tools on a machine that lacks ``missing``."""
    engine.installed = not missing
    monkeypatch.setattr(library, "Engine", lambda _state: engine)
    monkeypatch.setattr(library, "missing", lambda _names: list(missing))
    monkeypatch.setattr(library, "install", engine.install)
    args = {"names": ["docker"], "engine": wanted, "cache": "/cache"}
    result: dict[str, Any] = action(tools.ActionModule, args, check=check).run()
    return result


@pytest.mark.parametrize(
    ("engine", "wanted", "missing", "did", "changed"),
    [
        (FakeEngine(), "any", (), [], False),
        (FakeEngine(), "any", ("docker",), ["install docker"], True),
        (FakeEngine(answers=True), "started", (), [], False),
        (FakeEngine(), "started", (), ["start"], True),
        (FakeEngine(), "started", ("docker",), ["install docker", "start"], True),
        (FakeEngine(answers=True), "stopped", (), [], False),
        (FakeEngine(answers=True, ours=True), "stopped", (), ["stop"], True),
        (FakeEngine(answers=True, ours=True, in_use=True), "stopped", (), [], False),
    ],
)
def test_tools_and_engine_come_to_be_as_wanted(
    monkeypatch: pytest.MonkeyPatch,
    engine: FakeEngine,
    wanted: str,
    missing: tuple[str, ...],
    did: list[str],
    changed: bool,
) -> None:
    foreseen = tools_run(monkeypatch, engine, wanted, check=True, missing=missing)
    assert (foreseen["changed"], engine.did) == (changed, [])
    result = tools_run(monkeypatch, engine, wanted, missing=missing)
    assert (result["changed"], result["installed"], engine.did) == (changed, list(missing), did)

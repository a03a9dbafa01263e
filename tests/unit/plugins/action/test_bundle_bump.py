"""Newer versions of what is locked: what the task writes, shows and returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action import bundle_bump
from slipway.bundle.bump import Bump, Change, Proposal
from slipway.errors import Problem
from tests.support.fake_ansible import action

NEWER = Proposal("runc", "1.4.3", "1.4.4", ["runc"], "example.com/runc")
REFUSED = Proposal(
    "helm", "3.21.4", "3.22.0", ["helm"], problems=[Problem("helm 3.22.0", "has no sum")]
)


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock that is to be another one."""
    path = tmp_path / "versions.yml"
    path.write_text("before")
    monkeypatch.setattr(Bump, "changes", lambda *_: [Change(path, "before", "after")])
    return path


def result(
    monkeypatch: pytest.MonkeyPatch, *proposals: Proposal, **modes: bool
) -> tuple[dict[str, Any], list[str]]:
    """What the task returns, and what it says."""
    said: list[str] = []
    monkeypatch.setattr(Bump, "proposals", lambda _self, _wanted: [*proposals])
    monkeypatch.setattr(bundle_bump, "module_proxies", lambda _home: [])
    monkeypatch.setattr(bundle_bump.ActionModule, "say", lambda _self, *lines: said.extend(lines))
    return action(bundle_bump.ActionModule, {"project": "/srv/slipway"}, **modes).run(), said


def test_the_locks_are_written_and_what_is_left_to_do_is_said(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, said = result(monkeypatch, NEWER)
    assert (found["changed"], found["versions"]) == (True, {"runc": "1.4.4"})
    assert lock.read_text() == "after"
    command = "GOWORK=off go -C bundle/go/runc"
    assert said == [
        "component  now    newest  what for",
        "runc       1.4.3  1.4.4   runc",
        "before a bundle is made:",
        f"{command} get example.com/runc@v1.4.4 && {command} mod tidy",
    ]


def test_in_a_check_nothing_is_written_and_the_difference_is_shown(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _said = result(monkeypatch, NEWER, check=True, diff=True)
    [diff] = found["diff"]
    assert (diff["before"], diff["after"], diff["after_header"]) == ("before", "after", str(lock))
    assert lock.read_text() == "before"


def test_what_is_refused_fails_the_task_when_the_others_are_written(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, said = result(monkeypatch, NEWER, REFUSED)
    assert found["failed"]
    assert found["msg"] == "helm 3.22.0: has no sum"
    assert lock.read_text() == "after"
    assert "helm       3.21.4  3.22.0, refused  helm" in said

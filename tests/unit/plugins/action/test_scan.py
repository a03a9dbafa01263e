"""The action that looks up known faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.component import ComponentType

from plugins.action.scan import ActionModule
from slipway.sbom.document import Part, document
from slipway.sbom.packages import Package
from tests.support.fake_ansible import action

NET = Package("golang", "golang.org/x/net", "v0.30.0")


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *databases: str) -> dict[str, Any]:
    """The result, with the lines that were shown as ``said``."""
    (folder / "sbom").mkdir()
    whole = Part(ComponentType.CONTAINER, "web", "1", "web", [NET])
    (folder / "sbom" / "web.cdx.json").write_text(document(whole, (), 1.0, "1.0.0"))
    said: list[str] = []
    monkeypatch.setattr(ActionModule, "say", lambda _self, *lines: said.extend(lines))
    arguments = {"folder": str(folder / "sbom"), "databases": [*databases]}
    return {**action(ActionModule, arguments).run(), "said": said}


def test_a_known_fault_is_a_failure_with_a_line_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = [{"type": "SEMVER", "events": [{"introduced": "0"}]}]
    affected = [{"package": {"ecosystem": "Go", "name": NET.name}, "ranges": ranges}]
    (tmp_path / "osv.json").write_text(json.dumps({"id": "GO-1", "affected": affected}))
    result = run(tmp_path, monkeypatch, str(tmp_path / "osv.json"))
    line = "GO-1: golang.org/x/net v0.30.0, not fixed: web"
    assert (result["failed"], result["msg"]) == (True, "known faults: 1")
    assert result["said"] == [line]


def test_what_is_not_known_is_said_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(tmp_path, monkeypatch)
    assert not result.get("failed")
    assert result["said"] == [
        "Go: no database of it is at hand, packages that are not looked up: 1",
        "no known faults in what could be looked up",
    ]


def test_that_nothing_is_known_of_all_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    affected = [{"package": {"ecosystem": "Go", "name": "example.com/other"}}]
    (tmp_path / "osv.json").write_text(json.dumps({"id": "GO-1", "affected": affected}))
    result = run(tmp_path, monkeypatch, str(tmp_path / "osv.json"))
    assert not result.get("failed")
    assert result["said"] == ["no known faults"]

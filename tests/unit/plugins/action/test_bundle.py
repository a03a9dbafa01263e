"""Having the bundle: from where a run has it, what it says of that, and what it keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action.bundle import ActionModule
from slipway.bundle.source import SourceProvider
from tests.support.bundles import KEY, VERSIONS, Maker
from tests.support.fake_ansible import action


@pytest.fixture(autouse=True)
def lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout whose lock archives are made of."""
    monkeypatch.setattr(SourceProvider, "key", KEY)


def result(tmp_path: Path, check: bool = False, **changes: Any) -> dict[str, Any]:
    """What the task of a run returns."""
    args = {"project": "/srv/slipway", "versions": VERSIONS, "cache": f"{tmp_path}/cache"}
    return action(ActionModule, {**args, **changes}, check=check).run()


def test_the_line_that_says_where_it_comes_from_is_shown_when_it_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = Maker(tmp_path / "made")()
    path = f"{tmp_path}/cache/bundle/{KEY[:16]}"
    found = result(tmp_path, archive=str(archive))
    assert (found["changed"], found["path"]) == (True, path)
    assert found["ansible_facts"] == {"bundle_dir": path}
    said = f"the bundle comes from the archive {archive}, as slipway_bundle names it"
    assert capsys.readouterr().out.strip() == said
    assert not result(tmp_path, archive=str(archive))["changed"]
    assert capsys.readouterr().out == ""


def test_where_it_lies_is_known_of_an_archive_that_is_gone(tmp_path: Path) -> None:
    archive = Maker(tmp_path / "made")()
    path = result(tmp_path, archive=str(archive))["path"]
    archive.unlink()
    found = result(tmp_path, archive=str(archive), locate=True)
    assert found["path"] == path
    assert "ansible_facts" not in found


def test_a_check_has_none_and_keeps_nothing(tmp_path: Path) -> None:
    archive = Maker(tmp_path / "made")()
    found = result(tmp_path, check=True, archive=str(archive))
    assert found["changed"]
    assert not (tmp_path / "cache").exists()


def test_an_archive_that_will_not_do_fails_the_run(tmp_path: Path) -> None:
    archive = Maker(tmp_path / "made")(key="f" * 64, versions={**VERSIONS, "etcd": "3.5.0"})
    found = result(tmp_path, archive=str(archive))
    assert found["failed"]
    assert "has etcd 3.5.0, and the lock says 3.6.8" in found["msg"]

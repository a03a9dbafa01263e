"""Having the bundles: from where a run has them, what it says of that, and what it keeps."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from plugins.action.bundle import ActionModule
from slipway.architecture import Architecture
from slipway.bundle.keys import key_of
from slipway.bundle.source import SourceProvider
from tests.support.bundles import KEY, VERSIONS, Maker
from tests.support.fake_ansible import action

OF_ARM = key_of("arm64")


def fill(self: SourceProvider, into: Path, say: Callable[[str], None]) -> Mapping[str, object]:
    """Fill a bundle with the name of what it is for."""
    (into / "for").write_text(self.architecture)
    say("made")
    return {}


@pytest.fixture(autouse=True)
def lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout whose lock archives are made of, on a machine with x86_64 and all parts."""
    keys = {Architecture.AMD64: KEY, Architecture.ARM64: OF_ARM}
    monkeypatch.setattr(SourceProvider, "key", property(lambda self: keys[self.architecture]))
    monkeypatch.setattr(SourceProvider, "fill", fill)
    monkeypatch.setattr(SourceProvider, "to_make", lambda _: [])
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def result(tmp_path: Path, check: bool = False, **changes: Any) -> dict[str, Any]:
    """What the task of a run returns."""
    args = {"project": "/srv/slipway", "versions": VERSIONS, "cache": f"{tmp_path}/cache"}
    return action(ActionModule, {**args, **changes}, check=check).run()


def places(result: dict[str, Any]) -> dict[str, str]:
    """Where the bundle for each architecture is."""
    found: dict[str, str] = result["ansible_facts"]["bundle_dirs"]
    return found


def made_for(result: dict[str, Any]) -> dict[str, str]:
    """What is in each bundle that was made from source."""
    return {name: Path(path, "for").read_text() for name, path in places(result).items()}


def test_the_line_that_says_where_it_comes_from_is_shown_when_it_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = Maker(tmp_path / "made")()
    path = f"{tmp_path}/cache/bundle/{KEY[:16]}"
    found = result(tmp_path, archive=str(archive))
    assert (found["changed"], places(found)) == (True, {"amd64": path})
    said = f"the bundle comes from the archive {archive}, as slipway_bundle names it"
    assert capsys.readouterr().out.strip() == said
    assert not result(tmp_path, archive=str(archive))["changed"]
    assert capsys.readouterr().out == ""


def test_it_is_known_of_an_archive_that_is_gone(tmp_path: Path) -> None:
    archive = Maker(tmp_path / "made")()
    first = result(tmp_path, archive=str(archive))
    archive.unlink()
    assert result(tmp_path, archive=str(archive)) == {**first, "changed": False}


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


def test_without_a_word_the_bundle_is_for_this_machine(tmp_path: Path) -> None:
    found = result(tmp_path)
    assert (found["changed"], made_for(found)) == (True, {"amd64": "amd64"})
    assert result(tmp_path)["changed"] is False


def test_each_kind_of_machine_has_a_bundle_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["aarch64", "amd64", "arm64"]
    found = result(tmp_path, architectures=named)
    assert [*made_for(found).items()] == [("arm64", "arm64"), ("amd64", "amd64")]
    out = capsys.readouterr().out
    assert "arm64: the bundle comes from source, as no archive is named and its parts are" in out
    assert "arm64: made\n" in out
    assert result(tmp_path, architectures=named)["changed"] is False
    assert result(tmp_path)["changed"] is False


def test_each_bundle_comes_from_the_archive_that_is_for_it_or_from_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = Maker(tmp_path / "made")(key=OF_ARM, platform="linux/arm64")
    named: dict[str, Any] = {"architectures": ["amd64", "arm64"], "archive": str(archive)}
    found = result(tmp_path, **named)
    assert Path(places(found)["amd64"], "for").read_text() == "amd64"
    assert Path(places(found)["arm64"], "bin/kubelet").read_text() == "a program"
    out = capsys.readouterr().out
    assert "the bundle comes from source, as no archive is for amd64" in out
    assert f"arm64: the bundle comes from the archive {archive}" in out
    archive.unlink()
    assert result(tmp_path, **named)["changed"] is False


def test_a_check_foresees_each(tmp_path: Path) -> None:
    named: dict[str, Any] = {"architectures": ["amd64", "arm64"]}
    foreseen = result(tmp_path, check=True, **named)
    assert foreseen["changed"] is True
    assert [*places(foreseen)] == ["amd64", "arm64"]
    assert not [*tmp_path.rglob("for")]


def test_a_kind_that_there_is_no_bundle_for_is_told(tmp_path: Path) -> None:
    found = result(tmp_path, architectures=["riscv64"])
    assert found["failed"]
    assert found["msg"].startswith("processor riscv64: there is no bundle for it")

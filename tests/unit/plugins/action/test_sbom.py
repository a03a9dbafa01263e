"""Bills of materials: of which bundles there are some, wherever those come from."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from plugins.action import sbom
from slipway.architecture import Architecture
from slipway.bundle.keys import key_of
from slipway.bundle.source import SourceProvider
from slipway.bundle.upstream import UpstreamProvider
from tests.support.bundles import VERSIONS, Maker, bundle
from tests.support.fake_ansible import action

AMD64, ARM64 = Architecture.AMD64, Architecture.ARM64


class Asked:
    """What was to be described."""

    def __init__(
        self, provider: SourceProvider, bundles: Mapping[Architecture, Path], version: str
    ) -> None:
        self.provider, self.bundles = provider, bundles
        asked.append(self)

    def write(self, _folder: Path, _say: object) -> list[Path]:
        """Change nothing."""
        return []


asked: list[Asked] = []


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with x86_64, and a checkout whose keys say what a bundle is for."""
    asked.clear()
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    key = property(lambda self: key_of(self.architecture.value))
    monkeypatch.setattr(SourceProvider, "key", key)
    monkeypatch.setattr(SourceProvider, "to_make", lambda _: [])
    monkeypatch.setattr(UpstreamProvider, "key", property(lambda self: key_of(self.source.key)))
    monkeypatch.setattr(sbom, "Bills", Asked)


def described(tmp_path: Path, **changes: Any) -> Asked:
    """What the task has described."""
    args = {
        "project": "/srv/slipway",
        "versions": VERSIONS,
        "cache": f"{tmp_path}/cache",
        "folder": f"{tmp_path}/sbom",
    }
    assert "failed" not in action(sbom.ActionModule, {**args, **changes}).run()
    (found,) = asked
    return found


def of(architecture: Architecture, tmp_path: Path) -> Path:
    """The bundle that source would make."""
    return tmp_path / "cache" / "bundle" / key_of(architecture.value)[:16]


@pytest.mark.parametrize("given", [{}, {"provider": "source", "archive": "/nowhere"}])
def test_they_are_of_the_bundles_for_all_kinds_of_machines(
    tmp_path: Path, given: dict[str, str]
) -> None:
    found = described(tmp_path, **given)
    assert found.bundles == {each: of(each, tmp_path) for each in Architecture}
    assert found.provider.architecture is AMD64


@pytest.mark.parametrize("parts", [[], ["tool-0123"]])
def test_that_of_upstream_is_described_where_it_is_at_hand_or_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[str]
) -> None:
    monkeypatch.setattr(SourceProvider, "to_make", lambda _: parts)
    bundle(tmp_path / "cache" / "bundle" / key_of(key_of("arm64"))[:16])
    wanted = {} if parts else {"provider": "upstream"}
    found = described(tmp_path, **wanted)
    assert found.bundles[ARM64].name == key_of(key_of("arm64"))[:16]
    assert found.provider.architecture is AMD64


def test_where_archives_alone_are_wanted_there_may_be_none_for_other_machines(
    tmp_path: Path,
) -> None:
    archive = Maker(tmp_path)(key=key_of("amd64"), platform="linux/amd64")
    of(AMD64, tmp_path).mkdir(parents=True)
    (of(AMD64, tmp_path) / "manifest.json").write_text('{"about": {}, "sha256": {"bin/x": "0"}}')
    found = described(tmp_path, provider="archive", archive=str(archive))
    assert found.bundles[ARM64] == of(ARM64, tmp_path)
    assert found.bundles[AMD64] != of(AMD64, tmp_path)  # which has another content
    assert isinstance(found.provider, SourceProvider)

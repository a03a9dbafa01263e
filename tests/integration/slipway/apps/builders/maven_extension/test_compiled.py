"""Extensions are compiled by the compiler of the image in which Maven builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.builders.maven_extension import compiled as extension
from slipway.apps.builders.maven_extension.compiled import EXTENSIONS, compiled
from slipway.errors import SlipwayError
from tests.support.real_bundle import real_sandboxes

SANDBOXES = real_sandboxes()


@pytest.mark.parametrize("name", ["Standby", "JibSettings"])
def test_an_extension_is_compiled_once(tmp_path: Path, name: str) -> None:
    found = compiled(name, SANDBOXES, tmp_path)
    [folder] = tmp_path.iterdir()
    assert found == f"{EXTENSIONS}/{folder.name}"
    assert (folder / "slipway" / f"{name}.class").exists()
    assert f"slipway.{name}<" in (folder / "META-INF/plexus/components.xml").read_text()
    before = folder.stat().st_ino
    assert compiled(name, SANDBOXES, tmp_path) == found
    assert folder.stat().st_ino == before
    assert list(tmp_path.iterdir()) == [folder]


def test_nothing_is_left_of_one_that_cannot_be_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Broken.java").write_text("class Broken {")
    monkeypatch.setattr(extension, "_HERE", tmp_path)
    with pytest.raises(SlipwayError, match="javac ended with code 1"):
        compiled("Broken", SANDBOXES, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []

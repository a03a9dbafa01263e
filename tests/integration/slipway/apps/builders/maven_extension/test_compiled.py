"""Extensions are compiled by the compiler of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.builders.maven_extension.compiled import compiled


@pytest.mark.parametrize("name", ["Standby", "JibSettings"])
def test_an_extension_is_compiled_once(tmp_path: Path, name: str) -> None:
    folder = compiled(name, tmp_path)
    assert folder
    assert (folder / "slipway" / f"{name}.class").exists()
    assert f"slipway.{name}<" in (folder / "META-INF/plexus/components.xml").read_text()
    before = folder.stat().st_ino
    assert compiled(name, tmp_path) == folder
    assert folder.stat().st_ino == before
    assert list(tmp_path.iterdir()) == [folder]


def test_it_is_compiled_by_the_compiler_of_maven_s_java(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "java" / "bin" / "javac"
    compiler.parent.mkdir(parents=True)
    compiler.write_text('#!/bin/sh\ntouch "$2/compiled"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    folder = compiled("JibSettings", tmp_path / "cache")
    assert folder
    assert (folder / "compiled").exists()


@pytest.mark.parametrize("compiler", ["", "#!/bin/sh\nexit 1\n"])
def test_nothing_is_left_where_it_cannot_be_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    if compiler:
        (tmp_path / "java" / "bin").mkdir(parents=True)
        (tmp_path / "java" / "bin" / "javac").write_text(compiler)
        (tmp_path / "java" / "bin" / "javac").chmod(0o755)
    (tmp_path / "cache").mkdir()
    assert compiled("JibSettings", tmp_path / "cache") is None
    assert list((tmp_path / "cache").iterdir()) == []


def test_nothing_is_compiled_where_there_is_no_maven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiled("JibSettings", tmp_path / "cache") is None

"""Maven and its JVM are those of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.builders.maven import Maven
from slipway.cache.layout import CacheLayout
from tests.support.maven_samples import order, write

POM = (
    "<modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>top</artifactId>"
    "<version>1</version><packaging>pom</packaging>"
)
CALL = ("mvn", "--batch-mode", "--quiet", "--offline", "validate")


@pytest.mark.parametrize("place", [".mvn/jvm.config", "MAVEN_OPTS", "JDK_JAVA_OPTIONS", ".mavenrc"])
def test_the_collector_of_the_user_is_maven_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    said = tmp_path / "said"
    options = f"-XX:+UseParallelGC -Xlog:gc:file={said}"
    write(tmp_path / "checkout", {"pom.xml": POM})
    if place == ".mvn/jvm.config":
        write(tmp_path / "checkout", {place: f"{options}\n"})
    elif place == ".mavenrc":
        write(tmp_path, {place: f'MAVEN_OPTS="$MAVEN_OPTS {options}"\n'})
        monkeypatch.setenv("HOME", str(tmp_path))
    else:
        monkeypatch.setenv(place, options)
    for _ in range(2):
        Maven(CacheLayout(tmp_path / "cache")).build(order(tmp_path), lambda _: CALL, {})
        assert "Using Parallel" in said.read_text()
        said.unlink()


@pytest.mark.parametrize("option", ["-Xshare:off", "-XX:ObjectAlignmentInBytes=16"])
def test_options_that_do_not_go_with_an_archive_of_classes(tmp_path: Path, option: str) -> None:
    write(tmp_path / "checkout", {"pom.xml": POM, ".mvn/jvm.config": option})
    for _ in range(2):
        Maven(CacheLayout(tmp_path / "cache")).build(order(tmp_path), lambda _: CALL, {})

"""Maven and its JVM are those of the bundle's image, in sandboxes of this machine's engine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from slipway.apps.builders.maven import Maven
from slipway.apps.builders.maven_wrapper import PROPERTIES
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError
from tests.support.maven_samples import order, write
from tests.support.real_bundle import real_sandboxes

POM = (
    "<modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>top</artifactId>"
    "<version>1</version><packaging>pom</packaging>"
)
CALL = ("mvn", "--batch-mode", "--quiet", "--offline", "validate")
SANDBOXES = real_sandboxes()


def built(
    root: Path, result: str, call: Sequence[str] = CALL, repositories: Sequence[Path] = ()
) -> str:
    """The file that came of a build of what is below a folder."""
    maven = Maven(CacheLayout(root / "cache"), SANDBOXES, repositories=repositories)
    return maven.build(order(root), lambda _: call, {}, lambda _: nullcontext(), result)


@pytest.mark.parametrize("place", [".mvn/jvm.config", "MAVEN_OPTS", "JDK_JAVA_OPTIONS", ".mavenrc"])
def test_the_collector_of_the_user_is_maven_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    options = "-XX:+UseParallelGC -Xlog:gc:file=/work/said"
    write(tmp_path / "checkout", {"pom.xml": POM})
    if place == ".mvn/jvm.config":
        write(tmp_path / "checkout", {place: f"{options}\n"})
    elif place == ".mavenrc":
        write(tmp_path, {place: f'MAVEN_OPTS="$MAVEN_OPTS {options}"\n'})
        monkeypatch.setenv("HOME", str(tmp_path))
    else:
        monkeypatch.setenv(place, options)
    for _ in range(2):
        assert "Using Parallel" in built(tmp_path, "said")


@pytest.mark.parametrize("option", ["-Xshare:off", "-XX:ObjectAlignmentInBytes=16"])
def test_options_that_do_not_go_with_an_archive_of_classes(tmp_path: Path, option: str) -> None:
    write(tmp_path / "checkout", {"pom.xml": POM, ".mvn/jvm.config": option})
    for _ in range(2):
        assert built(tmp_path, "code") == "0"


def test_maven_is_the_one_that_the_wrapper_asks_for(tmp_path: Path) -> None:
    version, sha256 = "3.9.11", "0d7125e8c91097b36edb990ea5934e6c68b4440eef4ea96510a0f6815e7eeadb"
    place = f"apache-maven/{version}/apache-maven-{version}-bin.zip"
    said = f"distributionUrl=https://elsewhere.example/org/apache/maven/{place}"
    sums = f"distributionSha256Sum={sha256}"
    write(tmp_path / "checkout", {"pom.xml": POM, PROPERTIES: f"{said}\n{sums}\n"})
    for _ in range(2):
        told = built(tmp_path, "said", [*CALL, "--show-version", "--log-file", "/work/said"])
        assert f"Apache Maven {version} " in told
        assert f"Maven home: /maven/{version}" in told


def test_a_build_without_a_network_finds_what_came_along_with_the_bundle(tmp_path: Path) -> None:
    """Without a note on where an artifact was from, it counts for whoever asks."""
    carried = tmp_path / "carried"
    write(carried, {"test/top/1/top-1.pom": f"<project>{POM}</project>"})
    parent = "<groupId>test</groupId><artifactId>top</artifactId><version>1</version>"
    own = "<modelVersion>4.0.0</modelVersion><artifactId>web</artifactId>"
    write(tmp_path / "checkout", {"pom.xml": f"<parent>{parent}</parent>{own}"})
    with pytest.raises(SlipwayError, match=r"Non-resolvable parent POM"):
        built(tmp_path, "said")
    assert built(tmp_path, "said", repositories=[carried]) == ""
    assert [*(tmp_path / "cache").rglob("top-1.pom")] == []

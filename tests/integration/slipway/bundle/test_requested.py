"""A JDK out of Debian's archive, over the bundle's image with Maven, on this machine's engine."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from slipway.apps.builders.maven import Maven
from slipway.apps.builders.maven_extension.compiled import CLASS_PATH, compiled
from slipway.cache.layout import CacheLayout
from tests.support.maven_samples import order, write
from tests.support.real_bundle import real_sandboxes

POM = (
    "<modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>top</artifactId>"
    "<version>1</version><packaging>pom</packaging>"
)


def test_maven_runs_on_the_jdk_that_an_app_asks_for_and_so_does_what_is_compiled_for_it(
    tmp_path: Path,
) -> None:
    sandboxes, cache = real_sandboxes(17), CacheLayout(tmp_path / "cache")
    write(tmp_path / "checkout", {"pom.xml": POM})
    extension = compiled("JibSettings", sandboxes, cache.maven_extensions)
    mvn = f"mvn --batch-mode --quiet --offline -D{CLASS_PATH}={extension} validate"
    call = ["sh", "-c", f"mvn -version > /work/said && javac -version >> /work/said && {mvn}"]
    maven = Maven(cache, sandboxes)
    for _ in range(2):  # the second one with the archive of classes that the first one leaves
        said = maven.build(order(tmp_path), lambda _: call, {}, lambda _: nullcontext(), "said")
        assert "Java version: 17." in said
        assert "javac 17." in said

"""How Maven is started, and when a standby takes its place; Maven and standbys are doubles."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.apps.app import JibBuild
from slipway.apps.builders.maven import Maven
from slipway.apps.builders.maven_daemon.daemon import Standbys
from slipway.apps.builders.order import Order
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError
from tests.support.maven_samples import order, write

MAVEN = """#!/bin/sh
printf '%s\n' "$@" > "$LOG/argv"
env > "$LOG/environment"
case $MAVEN_OPTS in *UseSerialGC*$REFUSED*) echo "$WORDS"; exit 1;; esac
case $MAVEN_OPTS in *ArchiveClassesAtExit=*) echo > "${MAVEN_OPTS##*=}";; esac
echo "the value is $TOKEN" >&2
exit ${CODE:-1}
"""


def call(properties: Mapping[str, str]) -> list[str]:
    return ["mvn", "validate", *(f"-D{name}={value}" for name, value in properties.items())]


class Answering(Standbys):
    """Standbys that note what they are asked, and give one answer."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[tuple[Order[JibBuild], list[str], dict[str, str], str]] = []

    def build(
        self,
        order: Order[JibBuild],
        command: Sequence[str],
        settings: Mapping[str, str],
        options: str,
    ) -> bool:
        self.asked.append((order, list(command), dict(settings), options))
        return self.answer


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a double of Maven writes down how it was called; a project is in ``checkout``."""
    for folder in ("bin", "log"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin" / "mvn").write_text(MAVEN)
    (tmp_path / "bin" / "mvn").chmod(0o755)
    write(tmp_path / "checkout", {"pom.xml": ""})
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("REFUSED", "-Xrefused")
    monkeypatch.delenv("MAVEN_OPTS", raising=False)
    return tmp_path / "log"


@pytest.fixture
def resolved(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache after the project's first build; ``log`` is empty, and Maven succeeds."""
    monkeypatch.setenv("CODE", "0")
    Maven(CacheLayout(tmp_path / "cache")).build(order(tmp_path), call, {})
    for path in log.iterdir():
        path.unlink()
    return tmp_path / "cache"


@pytest.fixture
def options(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What the JVM is told, with a Java of some version and a cache of some name."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("CODE", "0")

    def told(version: str, cache: str = "cache") -> str:
        (tmp_path / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
        Maven(CacheLayout(tmp_path / cache)).build(order(tmp_path), call, {})
        return next(
            line for line in (log / "environment").read_text().splitlines() if "MAVEN_OPTS" in line
        )

    return told


def test_machine_without_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlipwayError) as caught:
        Maven(CacheLayout(tmp_path)).build(order(tmp_path), call, {})
    [problem] = caught.value.problems
    assert problem.what == "is built with Maven, which is not here"
    assert "packages maven" in problem.fix


def test_what_projects_need_is_downloaded_by_one_build_and_used_by_the_others_together(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = itertools.count()
    others_began = threading.Event()
    others = threading.Barrier(2)
    joined_by_others: list[bool] = []

    def run(self: Maven, order: Order[JibBuild], argv: Sequence[str]) -> None:
        if next(turns) == 0:
            joined_by_others.append(others_began.wait(0.3))
        else:
            others_began.set()
            others.wait(10)

    monkeypatch.setattr(Maven, "_run", run)
    for name in "abc":
        write(tmp_path / name / "checkout", {"pom.xml": "the same"})
    with ThreadPoolExecutor(3) as pool:
        maven = Maven(CacheLayout(tmp_path / "cache"))
        builds = [pool.submit(maven.build, order(tmp_path / name), call, {}) for name in "abc"]
        for build in builds:
            build.result()
    assert joined_by_others == [False]


def test_classes_are_archived_once_for_each_java(
    tmp_path: Path, options: Callable[..., str]
) -> None:
    assert "ArchiveClassesAtExit=" in options("17.0.15")
    [archive] = (tmp_path / "cache" / "jib" / "classes").iterdir()
    assert options("17.0.15").endswith(f"-XX:SharedArchiveFile={archive}")
    assert "ArchiveClassesAtExit=" in options("17.0.16")


@pytest.mark.parametrize(
    ("version", "cache"), [("1.8.0_392", "cache"), ("11.0.21", "cache"), ("17.0.15", "my cache")]
)
def test_no_archive_where_java_or_mvn_cannot_have_one(
    options: Callable[..., str], version: str, cache: str
) -> None:
    assert "Archive" not in options(version, cache)


def test_a_java_that_does_not_say_what_it_is(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SlipwayError):
        Maven(CacheLayout(tmp_path / "cache")).build(order(tmp_path), call, {})
    assert "Archive" not in (log / "environment").read_text()


def told(log: Path) -> list[str]:
    """The options that Maven's JVM got."""
    lines = (log / "environment").read_text().splitlines()
    return next(line for line in lines if line.startswith("MAVEN_OPTS=")).split("=", 1)[1].split()


@pytest.mark.parametrize("place", ["MAVEN_OPTS", ".mvn/jvm.config", "../.mvn/jvm.config"])
@pytest.mark.parametrize(
    ("users", "own"),
    [
        ("-Xmx1g -Dx=UseG1GC", {"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}),
        ("-XX:+UseGCOverheadLimit", {"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}),
        ("-Xmx1g -XX:+UseParallelGC", {"-XX:TieredStopAtLevel=1"}),
        ("-XX:+UnlockExperimentalVMOptions -XX:+UseZGC", {"-XX:TieredStopAtLevel=1"}),
        ("-XX:+UseSerialGC -XX:TieredStopAtLevel=4", set()),
        ("-XX:-TieredCompilation", {"-XX:+UseSerialGC"}),
    ],
)
def test_options_of_the_user_take_the_place_of_others(
    tmp_path: Path,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    users: str,
    own: set[str],
) -> None:
    write(tmp_path / "checkout" / "sub", {"pom.xml": ""})
    if place == "MAVEN_OPTS":
        monkeypatch.setenv("MAVEN_OPTS", users)
    else:
        write(tmp_path / "checkout" / "sub", {place: users})
    monkeypatch.setenv("CODE", "0")
    Maven(CacheLayout(tmp_path / "cache")).build(replace(order(tmp_path), folder="sub"), call, {})
    theirs = users.split() if place == "MAVEN_OPTS" else []
    others = [option for option in told(log) if not re.search(r"SharedArchive|cds|AtExit", option)]
    assert {*others} - {*theirs} == own - {*theirs}
    assert others[len(others) - len(theirs) :] == theirs


def test_settings_above_those_of_the_project_say_nothing(tmp_path: Path, log: Path) -> None:
    files = {"sub/pom.xml": "", "sub/.mvn/x": "", ".mvn/jvm.config": "-XX:+UseG1GC"}
    write(tmp_path / "checkout", files)
    with pytest.raises(SlipwayError):
        Maven(CacheLayout(tmp_path)).build(replace(order(tmp_path), folder="sub"), call, {})
    assert "-XX:+UseSerialGC" in told(log)


def test_options_that_lead_out_of_the_repository_are_not_read(tmp_path: Path, log: Path) -> None:
    (tmp_path / "checkout" / ".mvn").mkdir()
    (tmp_path / "checkout" / ".mvn" / "jvm.config").symlink_to("/etc/passwd")
    with pytest.raises(SlipwayError, match=r"\.mvn/jvm\.config cannot be read: it leads out"):
        Maven(CacheLayout(tmp_path)).build(order(tmp_path), call, {})
    assert not (log / "argv").exists()


@pytest.mark.parametrize(
    "words",
    [
        "Error occurred during initialization of VM",
        "Error occurred during CDS dumping",
        "Error: Could not create the Java Virtual Machine.",
    ],
)
def test_where_the_jvm_does_not_start_it_gets_the_options_of_the_user_alone(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("WORDS", words)
    monkeypatch.setenv("MAVEN_OPTS", "-Xmx1g -Xrefused")
    monkeypatch.setenv("CODE", "0")
    Maven(CacheLayout(tmp_path / "cache")).build(order(tmp_path), call, {})
    assert told(log) == ["-Xmx1g", "-Xrefused"]


def test_a_build_that_fails_leaves_no_archive(tmp_path: Path, log: Path) -> None:
    with pytest.raises(SlipwayError):
        Maven(CacheLayout(tmp_path / "cache")).build(order(tmp_path), call, {})
    assert not (tmp_path / "cache").exists()


def test_secrets_are_in_mavens_environment_and_nowhere_else(tmp_path: Path, log: Path) -> None:
    with pytest.raises(SlipwayError, match="the value is hidden-1234"):
        Maven(CacheLayout(tmp_path / "cache")).build(order(tmp_path, TOKEN="hidden-1234"), call, {})

    assert "TOKEN=hidden-1234" in (log / "environment").read_text().splitlines()
    (log / "environment").unlink()
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"hidden-1234" in path.read_bytes() for path in left)
    assert log / "argv" in left


def test_a_standby_is_asked_once_the_project_is_resolved(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standbys = Answering(True)
    maven = Maven(CacheLayout(tmp_path / "cache"), standbys)
    with pytest.raises(SlipwayError):
        maven.build(order(tmp_path), call, {})
    monkeypatch.setenv("CODE", "0")
    maven.build(order(tmp_path), call, {})
    assert standbys.asked == []
    maven.build(order(tmp_path), call, {})
    assert len(standbys.asked) == 1


def test_other_poms_are_resolved_first(tmp_path: Path, log: Path, resolved: Path) -> None:
    standbys = Answering(True)
    write(tmp_path / "checkout", {"module/pom.xml": ""})
    Maven(CacheLayout(resolved), standbys).build(order(tmp_path), call, {})
    assert standbys.asked == []
    assert (log / "argv").exists()


def test_maven_is_not_started_for_what_a_standby_has_built(
    tmp_path: Path, log: Path, resolved: Path
) -> None:
    Maven(CacheLayout(resolved), Answering(True)).build(order(tmp_path), call, {"a": "1"})
    assert list(log.iterdir()) == []


def test_maven_is_started_for_what_a_standby_has_not_built(
    tmp_path: Path, log: Path, resolved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standbys = Answering(False)
    Maven(CacheLayout(resolved), standbys).build(order(tmp_path), call, {"a": "1"})
    assert (log / "argv").read_text().split() == ["validate", "-Da=1"]

    monkeypatch.setenv("CODE", "3")
    with pytest.raises(SlipwayError, match="ended with code 3"):
        Maven(CacheLayout(resolved), standbys).build(order(tmp_path), call, {"a": "1"})
    assert len(standbys.asked) == 2

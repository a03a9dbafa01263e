"""Maven on standby: Maven, its JVMs and the compiler are those of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from slipway.apps.builders.maven_daemon import daemon as standby
from slipway.apps.builders.maven_daemon.daemon import Standbys
from slipway.waiting import wait_until
from tests.support.maven_samples import order, write

PATIENCE_SECONDS = 20.0
VALIDATE = ("mvn", "--batch-mode", "--quiet", "--offline", "validate")
OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"

MISSING = "<modules><module>missing</module></modules>"
PARENT = "<parent><groupId>test</groupId><artifactId>top</artifactId><version>1</version></parent>"
NUMBER = "<properties><number>1</number></properties>"
NEEDS = (
    "<dependencies><dependency><groupId>test</groupId><artifactId>needed</artifactId>"
    "<version>${number}</version></dependency></dependencies>"
)


def pom(text: str = "", name: str = "top") -> str:
    """A pom that is valid without any plugin."""
    parent = PARENT if name != "top" else ""
    return (
        f"<modelVersion>4.0.0</modelVersion>{parent}<groupId>test</groupId>"
        f"<artifactId>{name}</artifactId><version>1</version><packaging>pom</packaging>{text}"
    )


def broken_when(activation: str) -> str:
    """A pom that cannot be built when this activates its profile."""
    return pom(
        "<profiles><profile><id>broken</id>"
        f"<activation>{activation}</activation>{MISSING}</profile></profiles>"
    )


def having(name: str, value: str) -> str:
    """The activation by a property of this value."""
    return f"<property><name>{name}</name><value>{value}</value></property>"


GOOD = {"pom.xml": pom()}
KIND = {"pom.xml": broken_when(having("kind", "bad"))}


class Session:
    """A session, its Mavens, and checkouts to build."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        self.folder = root / "session"
        self.cache = cache
        self.process = subprocess.Popen(["sleep", "600"])

    def build(
        self,
        files: Mapping[str, str],
        *more: str,
        settings: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        folder: str = ".",
        whole: bool = True,
    ) -> bool:
        """Build a checkout of these files, ``more`` being said on the command line."""
        with TemporaryDirectory(dir=self.root) as root:
            write(Path(root, "checkout"), files)
            standbys = Standbys(self.folder, self.process.pid, self.cache)
            one = replace(order(Path(root), **(secrets or {})), folder=folder, whole=whole)
            return standbys.build(one, [*VALIDATE, *more], settings or {}, OPTIONS)

    def mavens(self) -> set[int]:
        """The processes of its Mavens."""
        mine = f"-Dslipway.socket={self.folder}/".encode()
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mine in (process / "cmdline").read_bytes():
                    found.add(int(process.name))
            except OSError:
                continue
        return found

    def sockets(self) -> list[Path]:
        return list(self.folder.glob("maven/*/socket"))

    def has(self, mavens: set[int]) -> bool:
        """Wait until these are its Mavens; whether they are."""
        return wait_until(lambda: self.mavens() == mavens, PATIENCE_SECONDS)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def sessions() -> Iterator[list[Session]]:
    """All sessions of this module; each Maven ends with its own."""
    begun: list[Session] = []
    yield begun
    for session in begun:
        session.end()
    assert [session.folder for session in begun if not session.has(set())] == []


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the extension is compiled once for all."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, cache: Path, sessions: list[Session]
) -> Session:
    """A session with one Maven; nothing but VALIDATE, without secrets, is asked of it."""
    session = Session(tmp_path_factory.mktemp("shared"), cache)
    sessions.append(session)
    assert session.build(GOOD)
    return session


@pytest.fixture
def session(tmp_path: Path, cache: Path, sessions: list[Session]) -> Iterator[Session]:
    """A session of the test's own."""
    session = Session(tmp_path, cache)
    sessions.append(session)
    yield session
    session.end()


def kill(maven: int) -> None:
    """Kill a process that this one has started, and wait until nothing of it is left."""
    os.kill(maven, signal.SIGKILL)
    os.waitid(os.P_PID, maven, os.WEXITED | os.WNOWAIT)


def home() -> Path:
    """Where Maven is."""
    return Path(shutil.which("mvn") or "").resolve().parent.parent


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script that is called as Maven; what it needs to be compiled for is beside it."""
    script = tmp_path / "maven" / "bin" / "mvn"
    script.parent.mkdir(parents=True)
    script.touch(0o755)
    (tmp_path / "maven" / "lib").symlink_to(home() / "lib")
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    return script


def test_one_maven_builds_again_and_again(shared: Session) -> None:
    mavens = shared.mavens()
    assert len(mavens) == 1
    assert shared.build(GOOD)
    assert shared.build(GOOD)
    assert shared.mavens() == mavens


def test_settings_are_those_of_one_build(shared: Session) -> None:
    mavens = shared.mavens()
    assert shared.build(KIND)
    assert not shared.build(KIND, settings={"other": "1", "kind": "bad"})
    assert shared.build(KIND, settings={"kind": "good"})
    assert shared.build(KIND)
    assert shared.mavens() == mavens


def test_settings_win_over_what_the_pom_says(shared: Session) -> None:
    files = {"pom.xml": pom(NUMBER + NEEDS)}
    assert shared.build(files)
    assert not shared.build(files, settings={"number": ""})


def test_settings_may_hold_any_text(shared: Session) -> None:
    value = "a=b: #\\ ü"
    files = {"pom.xml": broken_when(having("kind", value))}
    assert not shared.build(files, settings={"kind": value})


def test_settings_are_system_properties_too(shared: Session) -> None:
    assert shared.build(GOOD, settings={"slipway.test": "as-told"})
    [maven] = shared.mavens()
    properties = subprocess.run(
        ["jcmd", str(maven), "VM.system_properties"], capture_output=True, text=True, check=True
    )
    assert "slipway.test=as-told" in properties.stdout.splitlines()


def test_command_line_wins_over_settings(session: Session) -> None:
    assert session.build(KIND, "-Dkind=good", settings={"kind": "bad"})


def test_only_the_files_of_a_checkout_are_there(shared: Session) -> None:
    top = {"pom.xml": pom("<modules><module>part</module></modules>")}
    part = {"part/pom.xml": pom(name="part"), ".hidden/file": "", "file": ""}
    assert shared.build({**top, **part})
    assert not shared.build(top)
    assert shared.build({**top, **part})
    assert shared.build(GOOD)
    [source] = shared.folder.glob("maven/*/source")
    assert [path.name for path in source.iterdir()] == ["pom.xml"]


def test_a_build_that_fails_ends_no_maven(shared: Session) -> None:
    mavens = shared.mavens()
    assert not shared.build({"pom.xml": pom(MISSING)})
    assert not shared.build({"pom.xml": "<"})
    assert not shared.build({"file": ""})
    assert shared.build(GOOD)
    assert shared.mavens() == mavens


def test_who_leaves_in_the_middle_of_an_order_ends_no_maven(shared: Session) -> None:
    mavens = shared.mavens()
    for said in (b"", b"kind=bad", b"kind=bad\n"):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(shared.sockets()[0]))
            peer.sendall(said)
    assert shared.build(KIND)
    assert shared.mavens() == mavens


def test_a_maven_that_was_killed_is_started_anew(shared: Session) -> None:
    [killed] = shared.mavens()
    kill(killed)
    assert shared.build(GOOD)
    assert len(shared.mavens()) == 1
    assert shared.mavens() != {killed}


def test_a_maven_ends_with_its_socket(session: Session) -> None:
    assert session.build(GOOD)
    assert len(session.mavens()) == 1
    [path] = session.sockets()
    path.unlink()
    assert session.has(set())
    assert session.process.poll() is None


def test_a_maven_ends_with_the_session(session: Session) -> None:
    assert session.build(GOOD)
    assert len(session.mavens()) == 1
    session.end()
    assert session.has(set())
    assert session.sockets()


def test_the_one_that_was_asked_longest_ago_makes_room(session: Session) -> None:
    assert session.build(GOOD, "-Da")
    first = session.mavens()
    assert session.build(GOOD, "-Db")
    second = session.mavens() - first
    assert session.build(GOOD, "-Da")
    assert session.mavens() == first | second
    assert session.build(GOOD, "-Dc")
    third = session.mavens() - first - second
    assert len(third) == 1
    assert session.has(first | third)


def test_other_secrets_are_for_another_maven(session: Session) -> None:
    files = {"pom.xml": broken_when(having("env.TOKEN", "bad"))}
    assert session.build(files, secrets={"TOKEN": "good"})
    first = session.mavens()
    assert not session.build(files, secrets={"TOKEN": "bad"})
    both = session.mavens()
    assert len(both) == 2
    assert session.build(files, secrets={"TOKEN": "good"})
    assert session.mavens() == both > first


def test_another_maven_config_is_for_another_maven(session: Session) -> None:
    assert session.build({**KIND, ".mvn/maven.config": "-Dkind=good"})
    first = session.mavens()
    assert not session.build({**KIND, ".mvn/maven.config": "-Dkind=bad"})
    both = session.mavens()
    assert len(both) == 2
    assert session.build({**KIND, ".mvn/maven.config": "-Dkind=good"})
    assert session.mavens() == both > first


def test_no_maven_is_started_where_there_is_no_compiler(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.cache = tmp_path / "cache"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mvn").symlink_to(home() / "bin" / "mvn")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert not session.build(GOOD)
    assert not session.folder.exists()


def test_a_maven_that_ends_at_once_is_not_waited_for(session: Session, double: Path) -> None:
    double.write_text(f"#!/bin/sh\ntouch {double}-called\nexit 1\n")
    began = time.monotonic()
    assert not session.build(GOOD)
    assert time.monotonic() - began < standby.START_SECONDS / 2
    assert Path(f"{double}-called").exists()


def test_a_maven_that_never_listens_is_ended(
    session: Session, double: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby, "START_SECONDS", 0.5)
    double.write_text(f"#!/bin/sh\ntouch {double}-called\nwhile :; do sleep 0.1; done\n")
    assert not session.build(GOOD)
    assert session.mavens() == set()
    assert Path(f"{double}-called").exists()


def test_only_the_modules_of_the_command_line_are_built(shared: Session, session: Session) -> None:
    plugin = (
        "<build><plugins><plugin><groupId>test</groupId><artifactId>missing</artifactId>"
        "<version>1</version><executions><execution><phase>validate</phase>"
        "<goals><goal>go</goal></goals></execution></executions></plugin></plugins></build>"
    )
    modules = "<modules><module>good</module><module>bad</module></modules>"
    files = {
        "pom.xml": pom(modules),
        "good/pom.xml": pom(name="good"),
        "bad/pom.xml": pom(plugin, "bad"),
    }
    assert not shared.build(files)
    assert session.build(files, "-pl", "good", "-am")


def test_a_parent_that_has_changed_is_read_again(session: Session) -> None:
    modules = "<modules><module>part</module></modules>"
    part = {"part/pom.xml": pom(NEEDS, "part")}
    assert session.build({"pom.xml": pom(modules + NUMBER), **part})
    assert not session.build({"pom.xml": pom(modules), **part})
    assert session.build({"pom.xml": pom(modules + NUMBER), **part})


def test_a_project_in_a_folder_is_built_there_again_and_again(session: Session) -> None:
    top = {"pom.xml": pom(NUMBER)}
    part = {"part/pom.xml": pom(NEEDS, "part"), "part/src/a": ""}
    assert session.build({**top, **part}, folder="part")
    mavens = session.mavens()
    assert len(mavens) == 1
    assert not session.build({"pom.xml": pom(), **part}, folder="part")
    assert session.build({**top, **part, "other/file": ""}, folder="part")
    assert not session.build({**top, **part}, folder="part", whole=False)
    assert session.mavens() == mavens
    [source] = session.folder.glob("maven/*/source")
    left = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert left == {*part}


def test_settings_above_the_folder_are_for_another_maven(session: Session) -> None:
    part = {f"part/{name}": text for name, text in KIND.items()}
    settings = {".mvn/maven.config": "-Dkind=bad"}
    assert session.build(part, folder="part")
    assert not session.build({**part, **settings}, folder="part")
    assert session.build({**part, **settings}, folder="part", whole=False)


def test_settings_are_system_properties_of_the_request_too(session: Session) -> None:
    """Maven looks for the version of Java there alone, and Jib 3.1 for all that is its own."""
    files = {"pom.xml": broken_when("<jdk>1.3</jdk>")}
    assert session.build(files)
    assert not session.build(files, settings={"java.version": "1.3"})


def test_a_maven_that_was_killed_is_started_anew_beside_the_others(session: Session) -> None:
    assert session.build(GOOD, "-Da")
    first = session.mavens()
    assert session.build(GOOD, "-Db")
    [killed] = session.mavens() - first
    kill(killed)
    assert session.build(GOOD, "-Db")
    assert len(session.sockets()) == 2
    assert first < session.mavens()

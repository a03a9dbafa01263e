"""Maven on standby, in sandboxes of this machine's engine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest
from docker.errors import NotFound

from slipway.apps.builders.maven_daemon.daemon import Standbys
from slipway.apps.builders.maven_extension.compiled import EXTENSIONS
from slipway.apps.builders.maven_user import MavenUser
from slipway.apps.builders.sandbox import LABEL, Place, Program
from slipway.apps.builders.sandbox_init import START_SECONDS
from slipway.cache.layout import CacheLayout
from slipway.dev_session import Session
from slipway.nodes.containers import connect
from slipway.waiting import wait_until
from tests.support.maven_samples import order, write
from tests.support.real_bundle import real_sandboxes

SANDBOXES = real_sandboxes()
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


@contextmanager
def _ready(place: Place) -> Iterator[None]:
    """Give a sandbox a base image, as Jib's has one; who gave one before has not left it there."""
    assert [path.name for path in place.given.iterdir()] == ["source"]
    (place.given / "base.tar").touch()
    yield


class Dev:
    """A session, its Mavens, and checkouts to build."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        self.cache = CacheLayout(cache)
        self.session = Session(Path(mkdtemp(prefix="session-", dir=root)))
        os.mkfifo(self.session.life)
        self._held = os.open(self.session.life, os.O_RDWR)
        self.standbys = Standbys(self.session, SANDBOXES, self.cache.maven_extensions)

    def build(
        self,
        files: Mapping[str, str],
        *more: str,
        settings: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        folder: str = ".",
        whole: bool = True,
        repository: str = "web",
        call: Sequence[str] = VALIDATE,
    ) -> bool:
        """Build a checkout of these files, ``more`` being said on the command line."""
        with TemporaryDirectory(dir=self.root) as root:
            write(Path(root, "checkout"), files)
            one = replace(
                order(Path(root), **(secrets or {})),
                folder=folder,
                whole=whole,
                repository=repository,
            )
            program = Program(
                [*call, *more],
                {"MAVEN_OPTS": OPTIONS, **one.secrets},
                folder=folder,
                readable={EXTENSIONS: self.cache.maven_extensions},
            )
            user = MavenUser(Path(root, "home"), self.cache)
            given = settings or {}
            built = self.standbys.build(one, program, user, given, _ready, "x")
            return built is not None

    def mavens(self) -> set[str]:
        """The sandboxes of its Mavens."""
        running = connect().containers.list(filters={"label": LABEL}, ignore_removed=True)
        mine = f"{self.session.folder.name}-"
        return {str(each.id) for each in running if each.labels[LABEL].startswith(mine)}

    def has(self, mavens: set[str]) -> bool:
        """Wait until these are its Mavens; whether they are."""
        return wait_until(lambda: self.mavens() == mavens, PATIENCE_SECONDS)

    def end(self) -> None:
        if self._held >= 0:
            os.close(self._held)
        self._held = -1


@pytest.fixture(scope="module")
def sessions() -> Iterator[list[Dev]]:
    """All sessions of this module; each Maven ends with its own."""
    begun: list[Dev] = []
    yield begun
    for session in begun:
        session.end()
    assert [each.session.folder for each in begun if not each.has(set())] == []


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the extension is compiled once for all."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, cache: Path, sessions: list[Dev]) -> Dev:
    """A session with one Maven; nothing but VALIDATE, without secrets, is asked of it."""
    session = Dev(tmp_path_factory.mktemp("shared"), cache)
    sessions.append(session)
    assert session.build(GOOD)
    return session


@pytest.fixture
def session(tmp_path: Path, cache: Path, sessions: list[Dev]) -> Iterator[Dev]:
    """A session of the test's own."""
    session = Dev(tmp_path, cache)
    sessions.append(session)
    yield session
    session.end()


def kill(maven: str) -> None:
    """Kill a sandbox, and wait until nothing of it is left."""
    container = connect().containers.get(maven)
    container.kill()
    with suppress(NotFound):
        container.wait(condition="removed")


def test_one_maven_builds_again_and_again(shared: Dev) -> None:
    mavens = shared.mavens()
    assert len(mavens) == 1
    assert shared.build(GOOD)
    assert shared.build(GOOD)
    assert shared.mavens() == mavens


def test_settings_are_those_of_one_build(shared: Dev) -> None:
    mavens = shared.mavens()
    assert shared.build(KIND)
    assert not shared.build(KIND, settings={"other": "1", "kind": "bad"})
    assert shared.build(KIND, settings={"kind": "good"})
    assert shared.build(KIND)
    assert shared.mavens() == mavens


def test_settings_win_over_what_the_pom_says(shared: Dev) -> None:
    files = {"pom.xml": pom(NUMBER + NEEDS)}
    assert shared.build(files)
    assert not shared.build(files, settings={"number": ""})


def test_settings_may_hold_any_text(shared: Dev) -> None:
    value = "a=b: #\\ ü"
    files = {"pom.xml": broken_when(having("kind", value))}
    assert not shared.build(files, settings={"kind": value})


def test_settings_are_system_properties_too(shared: Dev) -> None:
    assert shared.build(GOOD, settings={"slipway.test": "as-told"})
    [maven] = shared.mavens()
    java = "$(grep --files-with-matches slipway.socket /proc/[0-9]*/cmdline | cut -d / -f 3)"
    asked = ["sh", "-c", f"for each in {java}; do jcmd $each VM.system_properties; done"]
    properties = connect().containers.get(maven).exec_run(asked).output.decode()
    assert "slipway.test=as-told" in properties.splitlines()


def test_command_line_wins_over_settings(session: Dev) -> None:
    assert session.build(KIND, "-Dkind=good", settings={"kind": "bad"})


def test_only_the_files_of_a_checkout_are_there(shared: Dev) -> None:
    top = {"pom.xml": pom("<modules><module>part</module></modules>")}
    part = {"part/pom.xml": pom(name="part"), ".hidden/file": "", "file": ""}
    assert shared.build({**top, **part})
    assert not shared.build(top)
    assert shared.build({**top, **part})
    assert shared.build(GOOD)
    [source] = shared.session.folder.glob("maven/*/work/source")
    assert [path.name for path in source.iterdir()] == ["pom.xml"]


def test_a_build_that_fails_ends_no_maven(shared: Dev) -> None:
    mavens = shared.mavens()
    assert not shared.build({"pom.xml": pom(MISSING)})
    assert not shared.build({"pom.xml": "<"})
    assert not shared.build({"file": ""})
    assert shared.build(GOOD)
    assert shared.mavens() == mavens


def test_who_leaves_in_the_middle_of_an_order_ends_no_maven(shared: Dev) -> None:
    mavens = shared.mavens()
    for said in (b"", b"kind=bad", b"kind=bad\n"):
        [root] = shared.session.folder.glob("maven/*")
        with Place(root, root / "handover").asked() as peer:
            peer.sendall(said)
    assert shared.build(KIND)
    assert shared.mavens() == mavens


def test_a_maven_that_was_killed_is_started_anew(shared: Dev) -> None:
    [killed] = shared.mavens()
    kill(killed)
    assert shared.build(GOOD)
    assert len(shared.mavens()) == 1
    assert shared.mavens() != {killed}


def test_a_maven_ends_with_the_session(session: Dev) -> None:
    assert session.build(GOOD)
    assert len(session.mavens()) == 1
    session.end()
    assert session.has(set())


def test_the_one_that_was_asked_longest_ago_makes_room(session: Dev) -> None:
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


def test_other_secrets_are_for_another_maven(session: Dev) -> None:
    files = {"pom.xml": broken_when(having("env.TOKEN", "bad"))}
    assert session.build(files, secrets={"TOKEN": "good"})
    first = session.mavens()
    assert not session.build(files, secrets={"TOKEN": "bad"})
    both = session.mavens()
    assert len(both) == 2
    assert session.build(files, secrets={"TOKEN": "good"})
    assert session.mavens() == both > first


def test_another_maven_config_is_for_another_maven(session: Dev) -> None:
    assert session.build({**KIND, ".mvn/maven.config": "-Dkind=good"})
    first = session.mavens()
    assert not session.build({**KIND, ".mvn/maven.config": "-Dkind=bad"})
    both = session.mavens()
    assert len(both) == 2
    assert session.build({**KIND, ".mvn/maven.config": "-Dkind=good"})
    assert session.mavens() == both > first


def test_a_maven_that_ends_at_once_is_not_waited_for(session: Dev) -> None:
    began = time.monotonic()
    assert not session.build(GOOD, call=["false"])
    assert time.monotonic() - began < START_SECONDS / 2
    assert session.has(set())


def test_no_two_repositories_have_the_same_maven(session: Dev) -> None:
    assert session.build(GOOD)
    first = session.mavens()
    assert session.build(GOOD, repository="other")
    assert len(session.mavens() - first) == 1


def test_only_the_modules_of_the_command_line_are_built(shared: Dev, session: Dev) -> None:
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


def test_a_parent_that_has_changed_is_read_again(session: Dev) -> None:
    modules = "<modules><module>part</module></modules>"
    part = {"part/pom.xml": pom(NEEDS, "part")}
    assert session.build({"pom.xml": pom(modules + NUMBER), **part})
    assert not session.build({"pom.xml": pom(modules), **part})
    assert session.build({"pom.xml": pom(modules + NUMBER), **part})


def test_a_project_in_a_folder_is_built_there_again_and_again(session: Dev) -> None:
    top = {"pom.xml": pom(NUMBER)}
    part = {"part/pom.xml": pom(NEEDS, "part"), "part/src/a": ""}
    assert session.build({**top, **part}, folder="part")
    mavens = session.mavens()
    assert len(mavens) == 1
    assert not session.build({"pom.xml": pom(), **part}, folder="part")
    assert session.build({**top, **part, "other/file": ""}, folder="part")
    assert not session.build({**top, **part}, folder="part", whole=False)
    assert session.mavens() == mavens
    [source] = session.session.folder.glob("maven/*/work/source")
    left = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert left == {*part}


def test_settings_above_the_folder_are_for_another_maven(session: Dev) -> None:
    part = {f"part/{name}": text for name, text in KIND.items()}
    settings = {".mvn/maven.config": "-Dkind=bad"}
    assert session.build(part, folder="part")
    assert not session.build({**part, **settings}, folder="part")
    assert session.build({**part, **settings}, folder="part", whole=False)


def test_settings_are_system_properties_of_the_request_too(session: Dev) -> None:
    """Maven looks for the version of Java there alone, and Jib 3.1 for all that is its own."""
    files = {"pom.xml": broken_when("<jdk>1.3</jdk>")}
    assert session.build(files)
    assert not session.build(files, settings={"java.version": "1.3"})


def test_a_maven_that_was_killed_is_started_anew_beside_the_others(session: Dev) -> None:
    assert session.build(GOOD, "-Da")
    first = session.mavens()
    assert session.build(GOOD, "-Db")
    [killed] = session.mavens() - first
    kill(killed)
    assert session.build(GOOD, "-Db")
    assert len(session.mavens()) == 2
    assert first < session.mavens()

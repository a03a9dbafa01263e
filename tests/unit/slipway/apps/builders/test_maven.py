"""What Maven is told and may see, and when a standby takes its place; the sandboxes are doubles."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.apps.app import JibBuild
from slipway.apps.builders.maven import CLASSES, SHARED, Maven
from slipway.apps.builders.maven_daemon.daemon import Standbys
from slipway.apps.builders.maven_user import AUTHORITIES, MavenUser
from slipway.apps.builders.maven_wrapper import PROPERTIES
from slipway.apps.builders.order import Order
from slipway.apps.builders.sandbox import Place, Program, Receive
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from tests.support.maven_samples import order, write
from tests.support.sandboxes import Noting, Run, make


def call(properties: Mapping[str, str]) -> list[str]:
    return ["mvn", "validate", *(f"-D{name}={value}" for name, value in properties.items())]


@contextmanager
def receive(place: Place) -> Iterator[None]:
    yield


class Answering(Standbys):
    """Standbys that note what they are asked, and give one answer."""

    def __init__(self, answer: str | None) -> None:
        self.answer = answer
        self.asked: list[tuple[Order[JibBuild], Program, dict[str, str]]] = []

    def build(
        self,
        order: Order[JibBuild],
        program: Program,
        user: MavenUser,
        settings: Mapping[str, str],
        receive: Receive,
        result: str,
    ) -> str | None:
        self.asked.append((order, program, dict(settings)))
        return self.answer


class Workshop:
    """A user with a cache, and a project in ``checkout``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = CacheLayout(root / "cache")
        self.sandboxes = Noting()
        self.repositories: list[Path] = []
        write(root / "checkout", {"pom.xml": ""})

    def build(self, one: Order[JibBuild] | None = None, standbys: Standbys | None = None) -> str:
        maven = Maven(self.cache, self.sandboxes, standbys, self.repositories)
        return maven.build(one or order(self.root), call, {"a": "1"}, receive, "digest")

    @property
    def last(self) -> Run:
        return self.sandboxes.runs[-1]

    def fail(self, words: str, when: str = "") -> None:
        """Have Maven fail, if it has an option."""

        def act(run: Run) -> None:
            if when in run.program.environment["MAVEN_OPTS"]:
                raise SlipwayError(Problem("web (main)", words))

        self.sandboxes.act = act


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    for name in [*os.environ]:
        if name not in ("PATH", "TMPDIR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "/nowhere")
    return Workshop(tmp_path)


@pytest.fixture
def resolved(workshop: Workshop) -> Workshop:
    """The same after the project's first build."""
    workshop.build()
    workshop.sandboxes.runs.clear()
    return workshop


def test_a_build_hands_over_the_text_of_its_result(workshop: Workshop) -> None:
    workshop.sandboxes.act = lambda run: (make(run.place, "digest", "sha256:1"), None)[1]
    assert workshop.build() == "sha256:1"


def test_a_result_is_no_link(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the user")
    workshop.sandboxes.act = lambda run: (run.place.work / "digest").symlink_to(tmp_path / "secret")
    assert workshop.build() == ""


def test_what_projects_need_is_downloaded_by_one_build_and_used_by_the_others_together(
    tmp_path: Path, workshop: Workshop
) -> None:
    turns = itertools.count()
    others_began = threading.Event()
    others = threading.Barrier(2)
    joined_by_others: list[bool] = []

    def act(run: Run) -> None:
        if next(turns) == 0:
            joined_by_others.append(others_began.wait(0.3))
        else:
            others_began.set()
            others.wait(10)

    workshop.sandboxes.act = act
    maven = Maven(workshop.cache, workshop.sandboxes)
    for name in "abc":
        write(tmp_path / name / "checkout", {"pom.xml": "the same"})
    with ThreadPoolExecutor(3) as pool:
        builds = [
            pool.submit(maven.build, order(tmp_path / name), call, {}, receive, "digest")
            for name in "abc"
        ]
        for build in builds:
            build.result()
    assert joined_by_others == [False]


def test_repositories_share_nothing(tmp_path: Path, workshop: Workshop) -> None:
    workshop.build(replace(order(tmp_path), repository="one"))
    workshop.build(replace(order(tmp_path), repository="two"))
    one, two = (run.program for run in workshop.sandboxes.runs)
    assert one.cache != two.cache
    assert one.readable[CLASSES] != two.readable[CLASSES]


def test_classes_are_archived_once_for_each_repository(tmp_path: Path, workshop: Workshop) -> None:
    workshop.sandboxes.act = lambda run: (make(run.place, "classes.jsa"), None)[1]
    workshop.build()
    assert "-XX:ArchiveClassesAtExit=/work/classes.jsa" in workshop.last.options
    workshop.build()
    assert "-XX:SharedArchiveFile=/classes/0123456789ab.jsa" in workshop.last.options
    workshop.build(replace(order(tmp_path), repository="other"))
    assert "-XX:ArchiveClassesAtExit=/work/classes.jsa" in workshop.last.options


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
    workshop: Workshop,
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
    workshop.build(replace(order(tmp_path), folder="sub"))
    theirs = users.split() if place == "MAVEN_OPTS" else []
    told = workshop.last.options
    others = [each for each in told if "cds" not in each and "AtExit" not in each]
    assert {*others} - {*theirs, "-Duser.home=/work/home"} == own - {*theirs}
    assert others[len(others) - len(theirs) :] == theirs


def test_settings_above_those_of_the_project_say_nothing(
    tmp_path: Path, workshop: Workshop
) -> None:
    files = {"sub/pom.xml": "", "sub/.mvn/x": "", ".mvn/jvm.config": "-XX:+UseG1GC"}
    write(tmp_path / "checkout", files)
    workshop.build(replace(order(tmp_path), folder="sub"))
    assert "-XX:+UseSerialGC" in workshop.last.options


def test_options_that_lead_out_of_the_repository_are_not_read(
    tmp_path: Path, workshop: Workshop
) -> None:
    (tmp_path / "checkout" / ".mvn").mkdir()
    (tmp_path / "checkout" / ".mvn" / "jvm.config").symlink_to("/etc/passwd")
    with pytest.raises(SlipwayError, match=r"\.mvn/jvm\.config cannot be read: it leads out"):
        workshop.build()
    assert workshop.sandboxes.runs == []


@pytest.mark.parametrize(
    "words",
    [
        "Error occurred during initialization of VM",
        "Error occurred during CDS dumping",
        "Error: Could not create the Java Virtual Machine.",
    ],
)
def test_where_the_jvm_does_not_start_it_gets_the_options_of_the_user_alone(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("MAVEN_OPTS", "-Xmx1g -Xrefused")
    workshop.fail(words, "UseSerialGC")
    workshop.build()
    assert workshop.last.options == ["-Duser.home=/work/home", "-Xmx1g", "-Xrefused"]


def test_of_the_environment_a_build_gets_what_it_may(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "home/.m2", {"settings.xml": "<password>${env.PROXY_PASSWORD}</password>"})
    for name in ("LANG", "PROXY_PASSWORD", "CLOUD_TOKEN", "KUBECONFIG", "https_proxy"):
        monkeypatch.setenv(name, name.lower())
    workshop.build(order(tmp_path, TOKEN="hidden-1234"))
    found = {*workshop.last.program.environment} - {"MAVEN_OPTS"}
    assert found == {"LANG", "PROXY_PASSWORD", "https_proxy", "TOKEN"}


def test_secrets_are_in_no_file(tmp_path: Path, workshop: Workshop) -> None:
    workshop.build(order(tmp_path, TOKEN="hidden-1234"))
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"hidden-1234" in path.read_bytes() for path in left)
    assert left


def test_settings_of_the_user_are_given_whole(tmp_path: Path, workshop: Workshop) -> None:
    files = {"settings.xml": "<settings/>", "settings-security.xml": "<x/>", "other": "private"}
    write(tmp_path / "home/.m2", files)
    workshop.build()
    assert workshop.last.given == {
        "source/pom.xml": "<project></project>",
        "home/.m2/settings.xml": "<settings/>",
        "home/.m2/settings-security.xml": "<x/>",
    }


def test_stores_that_options_name_are_given(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.jks").write_text("certificates")
    option = f"-Djavax.net.ssl.trustStore={tmp_path}/own.jks"
    monkeypatch.setenv("MAVEN_OPTS", f"-Xmx1g {option}")
    workshop.build()
    [(name, text)] = [each for each in workshop.last.given.items() if "stores" in each[0]]
    assert text == "certificates"
    assert f"-Djavax.net.ssl.trustStore=/in/{name}" in workshop.last.options
    assert option not in workshop.last.options


def test_git_finds_the_objects_of_the_mirror(tmp_path: Path, workshop: Workshop) -> None:
    shared = ".git/objects/info/alternates"
    write(tmp_path / "checkout", {shared: f"{tmp_path}/web.git/objects\n"})
    workshop.build()
    assert workshop.last.given[f"source/{shared}"] == "/objects\n"
    assert workshop.last.program.readable["/objects"] == tmp_path / "web.git/objects"
    assert (tmp_path / "checkout" / shared).read_text() == f"{tmp_path}/web.git/objects\n"


def test_artifacts_that_the_machine_has_are_seen_and_stay(
    tmp_path: Path, workshop: Workshop
) -> None:
    workshop.build()
    assert not [each for each in workshop.last.program.argv if "local.tail" in each]
    workshop.repositories = [tmp_path / "own"]
    workshop.build(replace(order(tmp_path), artifacts=tmp_path / "carried"))
    assert workshop.last.program.readable[f"{SHARED}/0"] == tmp_path / "own"
    write(tmp_path / "carried", {"a.jar": ""})
    workshop.build(replace(order(tmp_path), artifacts=tmp_path / "carried"))
    readable = workshop.last.program.readable
    found = [readable[f"{SHARED}/{number}"] for number in (0, 1)]
    assert found == [tmp_path / "carried", tmp_path / "own"]
    assert f"-Dmaven.repo.local.tail={SHARED}/0,{SHARED}/1" in workshop.last.program.argv


def test_authorities_of_the_machine_are_trusted(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "authorities.pem").write_text("")
    (tmp_path / "java/lib/security").mkdir(parents=True)
    (tmp_path / "java/lib/security/cacerts").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    workshop.build()
    readable = workshop.last.program.readable
    assert readable[AUTHORITIES] == tmp_path / "authorities.pem"
    assert readable["/etc/ssl/certs/java/cacerts"] == tmp_path / "java/lib/security/cacerts"


def test_a_standby_is_asked_once_the_project_is_resolved(workshop: Workshop) -> None:
    standbys = Answering("sha256:1")
    workshop.fail("no")
    with pytest.raises(SlipwayError):
        workshop.build(standbys=standbys)
    workshop.sandboxes.act = lambda run: None
    workshop.build(standbys=standbys)
    assert standbys.asked == []
    assert workshop.build(standbys=standbys) == "sha256:1"
    [(_, program, settings)] = standbys.asked
    assert settings == {"a": "1"}
    assert "-Da=1" not in program.argv


def test_other_poms_are_resolved_first(tmp_path: Path, resolved: Workshop) -> None:
    standbys = Answering("")
    write(tmp_path / "checkout", {"module/pom.xml": ""})
    resolved.build(standbys=standbys)
    assert standbys.asked == []
    assert len(resolved.sandboxes.runs) == 1


def test_no_sandbox_is_made_for_what_a_standby_has_built(resolved: Workshop) -> None:
    resolved.build(standbys=Answering(""))
    assert resolved.sandboxes.runs == []


def test_maven_is_started_for_what_a_standby_has_not_built(resolved: Workshop) -> None:
    standbys = Answering(None)
    resolved.build(standbys=standbys)
    assert "-Da=1" in resolved.last.program.argv
    resolved.fail("ended with code 3")
    with pytest.raises(SlipwayError, match="ended with code 3"):
        resolved.build(standbys=standbys)
    assert len(standbys.asked) == 2


@pytest.fixture
def wrapped(workshop: Workshop) -> Workshop:
    """A project whose wrapper asks for a Maven that is at hand."""
    name = "apache-maven-3.8.8-bin.zip"
    url = f"https://repo.example/org/apache/maven/apache-maven/3.8.8/{name}"
    write(workshop.root / "checkout", {PROPERTIES: f"distributionUrl={url}"})
    made = workshop.cache.maven_distributions / name
    write(made, {"apache-maven-3.8.8/bin/mvn": "", "sha256": "0"})
    return workshop


def test_the_wrapper_s_maven_builds_with_the_settings_for_all_users(wrapped: Workshop) -> None:
    wrapped.build()
    program = wrapped.last.program
    own = ["/maven/3.8.8/bin/mvn", "--global-settings", "/etc/maven/settings.xml", "validate"]
    assert program.argv[:4] == own
    home = wrapped.cache.maven_distributions / "apache-maven-3.8.8-bin.zip/apache-maven-3.8.8"
    assert program.readable["/maven/3.8.8"] == home


def test_what_is_kept_for_the_wrapper_s_maven_is_not_the_bundle_s(wrapped: Workshop) -> None:
    wrapped.build()
    own = {*wrapped.cache.maven.rglob("resolved/*")}
    assert [option for option in wrapped.last.options if "-3.8.8" in option or "AtExit" in option]
    plain = order(wrapped.root)
    wrapped.build(replace(plain, build=JibBuild(wrapper=False)))
    assert wrapped.last.program.argv[0] == "mvn"
    assert {*wrapped.cache.maven.rglob("resolved/*")} > own


def test_a_standby_is_one_of_the_wrapper_s_maven(wrapped: Workshop) -> None:
    wrapped.build()
    standbys = Answering("built")
    wrapped.build(standbys=standbys)
    [(_, program, _)] = standbys.asked
    assert program.argv[0] == "/maven/3.8.8/bin/mvn"

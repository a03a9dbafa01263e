"""Real builds with Maven, BuildKit and Docker, of old and new projects, on bases of our own."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import JAVA, App, Built
from slipway.apps.builders.build import Settings, build_images
from slipway.apps.builders.buildkit import Daemon, Programs
from slipway.apps.builders.maven_user import MavenUser
from slipway.apps.plan.plan import plan
from slipway.apps.source.fetch import get_sources
from slipway.cache.layout import CacheLayout
from slipway.oci import Image, ImageConfig, ImageStore, TreeEntry, layer_from_tree
from slipway.secrets import Secrets
from tests.support.apps import reason
from tests.support.checkout import PROJECT
from tests.support.registries import served
from tests.support.scenario import Scenario

JRE = "bundle.slipway.internal/jre:test"
PYTHON = "bundle.slipway.internal/python:test"

EXAMPLES = PROJECT / "examples"

APPLICATION = """\
package org.example;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

@SpringBootApplication
public class Application {
    public static void main(String[] args) {
        SpringApplication.run(Application.class, args);
    }
}
"""

OLD_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>org.springframework.boot</groupId>
    <artifactId>spring-boot-starter-parent</artifactId>
    <version>2.4.13</version>
    <relativePath/>
  </parent>
  <groupId>org.example</groupId>
  <artifactId>old</artifactId>
  <version>1-SNAPSHOT</version>
  <properties>
    <java.version>1.8</java.version>
  </properties>
  <dependencies>
    <dependency>
      <groupId>org.springframework.boot</groupId>
      <artifactId>spring-boot-starter-web</artifactId>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <groupId>com.google.cloud.tools</groupId>
        <artifactId>jib-maven-plugin</artifactId>
        <version>3.1.4</version>
        <configuration>
          <from>
            <image>registry.invalid/java:8</image>
            <credHelper>no-such-helper</credHelper>
            <platforms>
              <platform><os>linux</os><architecture>arm64</architecture></platform>
              <platform><os>linux</os><architecture>amd64</architecture></platform>
            </platforms>
          </from>
          <to>
            <image>registry.invalid/team/old</image>
            <credHelper>no-such-helper</credHelper>
            <tags><tag>latest</tag></tags>
          </to>
          <container>
            <format>Docker</format>
            <jvmFlags><jvmFlag>-Xmx64m</jvmFlag></jvmFlags>
          </container>
        </configuration>
      </plugin>
    </plugins>
  </build>
</project>
"""

AGGREGATOR = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example</groupId>
  <artifactId>all</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <modules><module>words</module><module>service</module></modules>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
</project>
"""

MODULE = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent><groupId>org.example</groupId><artifactId>all</artifactId><version>1</version></parent>
  <artifactId>{name}</artifactId>
  {more}
</project>
"""

SERVICE_MORE = """\
<dependencies>
    <dependency><groupId>org.example</groupId><artifactId>words</artifactId><version>1</version></dependency>
  </dependencies>
  <build><plugins><plugin>
    <groupId>com.google.cloud.tools</groupId><artifactId>jib-maven-plugin</artifactId>
    <version>3.5.2</version>
  </plugin></plugins></build>"""


POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example</groupId>
  <artifactId>small</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
    <token>missing</token>
  </properties>
  {more}
</project>
"""

POM_WITH_SECRET = POM.format(
    more="""\
  <profiles>
    <profile>
      <id>token</id>
      <activation><property><name>env.REPOSITORY_TOKEN</name></property></activation>
      <properties><token>there</token></properties>
    </profile>
  </profiles>
  <build><plugins><plugin>
    <groupId>com.google.cloud.tools</groupId><artifactId>jib-maven-plugin</artifactId>
    <version>3.5.2</version>
    <configuration><container><labels><token>${token}</token></labels></container></configuration>
  </plugin></plugins></build>"""
)

MAIN_PLACE = "src/main/java/s/Main.java"
MAIN_CLASS = """\
package s;

public class Main {
    public static void main(String[] arguments) {
        System.out.println("one");
    }
}
"""


class Workshop:
    """A folder with repositories, a bundle with base images, a cache and an apps.yml.

    The bundle is the ``real`` one with two base images more, which hold next to nothing.
    """

    def __init__(self, root: Path, real: Path) -> None:
        self.root = root
        self.real = real
        self.cache = root / "cache"
        self.said: list[str] = []
        self.secrets: dict[str, str] = {}
        self.buildkit = True
        self.bundle = root / "bundle"
        images = ImageStore(self.bundle / "images")
        there = ImageStore(real / "images").images()
        self.python = next(ref for ref in there if "/python:" in ref)
        self.maven = next(ref for ref in there if "/maven:" in ref)
        for ref in (self.python, self.maven):
            images.add_archive(real / "images", ref, spare=True)
        for ref in (JRE, PYTHON):
            layer = layer_from_tree({"etc/base": ref.encode(), "bin": TreeEntry(None)})
            images.add_image(ref, [layer], ImageConfig(env={"BASE": ref}))
        for name in ("bin", "cni", "tools"):
            (self.bundle / name).mkdir()
            for program in (real / name).iterdir():
                (self.bundle / name / program.name).symlink_to(program)

    def repository(self, name: str, files: Mapping[str, str | bytes], branch: str = "main") -> None:
        """Commit the files to the branch of a repository, made when it is not there."""
        folder = self.root / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            content = text.encode() if isinstance(text, str) else text
            (folder / path).write_bytes(content)
        identity = ["-c", "user.name=Test", "-c", "user.email=test@slipway.test"]
        there = (folder / ".git").exists()
        begin = ["checkout", "-q", "-B", branch] if there else ["init", "-q", "-b", branch]
        for call in (begin, ["add", "."], ["commit", "-qm", "files"]):
            subprocess.run(["git", *identity, *call], cwd=folder, check=True)

    def build(self, apps: list[dict[str, Any]]) -> list[App]:
        """Plan, fetch and build."""
        apps_file = self.root / f"apps-{sha256(json.dumps(apps).encode()).hexdigest()}.yml"
        apps_file.write_text(json.dumps({"version": 1, "apps": apps}))
        sources = get_sources(plan(apps_file), self.cache, check=False, say=self.said.append)
        settings = Settings(
            self.cache,
            self.bundle,
            {"jib": JRE, "buildx": PYTHON},
            maven={JAVA: self.maven},
            buildkit=self.buildkit,
            repositories=MavenUser.here(CacheLayout(self.cache)).repositories(),
            secrets=Secrets(self.secrets),
        )
        return build_images(sources.apps, settings, check=False, say=self.said.append).apps

    def image(self, app: App) -> Image:
        """The image of an app."""
        assert isinstance(app, Built), app.failed
        image = ImageStore(self.cache / "images").get(app.image)
        assert image is not None
        return image

    def config(self, image: Image) -> Any:
        """An image's config."""
        return json.loads(self._blob(image.config_digest).read_bytes())

    def files(self, image: Image) -> dict[str, bytes]:
        """The files of all layers."""
        found: dict[str, bytes] = {}
        for layer in image.layers:
            with tarfile.open(self._blob(layer.digest)) as tar:
                for member in tar.getmembers():
                    content = tar.extractfile(member) if member.isfile() else None
                    if content:
                        found[member.name] = content.read()
        return found

    def base(self, ref: str) -> Image:
        """A base image of the bundle."""
        image = ImageStore(self.bundle / "images").get(ref)
        assert image is not None
        return image

    def base_changed_at(self) -> list[int]:
        """When the kernel last noted something about the layers of Java's base image."""
        blobs = self.bundle / "images" / "blobs" / "sha256"
        layers = self.base(JRE).layers
        return [blobs.joinpath(each.digest[7:]).stat().st_ctime_ns for each in layers]

    def _blob(self, digest: str) -> Path:
        return self.cache / "images" / "blobs" / "sha256" / digest.removeprefix("sha256:")


@pytest.fixture
def workshop(scenario: Scenario, tmp_path: Path) -> Workshop:
    return Workshop(tmp_path, scenario.bundle)


@pytest.fixture
def engine(workshop: Workshop) -> Iterator[None]:
    """Docker's engine for Dockerfiles, left without the base image that a test gives it."""
    workshop.buildkit = False
    yield
    subprocess.run(["docker", "image", "rm", PYTHON], check=True, capture_output=True)


def test_old_project_on_another_base(workshop: Workshop) -> None:
    workshop.repository(
        "old", {"pom.xml": OLD_POM, "src/main/java/org/example/Application.java": APPLICATION}
    )

    [app] = workshop.build([{"name": "old", "git_url": "old"}])

    image = workshop.image(app)
    config = workshop.config(image)
    files = workshop.files(image)
    base = workshop.base(JRE)
    assert image.layers[0] == base.layers[0]
    assert config["rootfs"]["diff_ids"][0] == base.layers[0].digest
    assert len(config["rootfs"]["diff_ids"]) == len(image.layers) == len(config["history"])
    assert f"BASE={JRE}" in config["config"]["Env"]
    assert config["config"]["Entrypoint"][:2] == ["java", "-Xmx64m"]
    assert config["config"]["Entrypoint"][-1] == "org.example.Application"
    assert files["app/classes/org/example/Application.class"][6:8] == b"\x00\x34"  # Java 8
    assert any(name.startswith("app/libs/spring-boot-2.4.13") for name in files)
    assert image.ref == (
        f"apps.slipway.internal/old:main-{image.config_digest.removeprefix('sha256:')[:12]}"
    )


def test_base_from_an_archive(workshop: Workshop) -> None:
    workshop.repository(
        "old", {"pom.xml": OLD_POM, "src/main/java/org/example/Application.java": APPLICATION}
    )
    archive = workshop.root / "jre8.tar"
    ImageStore(workshop.bundle / "images").write_docker_archive(PYTHON, archive)

    [app] = workshop.build([{"name": "old", "git_url": "old", "base_image": f"tar://{archive}"}])

    assert f"BASE={PYTHON}" in workshop.config(workshop.image(app))["config"]["Env"]


def test_sample_service_again_and_changed(workshop: Workshop) -> None:
    main = EXAMPLES / "greeter" / "main"
    tree = {
        path.relative_to(main).as_posix(): path.read_text()
        for path in main.rglob("*")
        if path.is_file() and "target" not in path.parts
    }
    apps = [{"name": "greeter", "git_url": "greeter"}]
    workshop.repository("greeter", tree)
    [first] = workshop.build(apps)
    workshop.said.clear()

    [again] = workshop.build(apps)

    assert workshop.image(again) == workshop.image(first)
    assert not any("built" in line for line in workshop.said)

    untouched = workshop.base_changed_at()
    words = "src/main/java/org/example/greeter/Greeting.java"
    workshop.repository("greeter", {words: tree[words].replace("from main", "from here")})
    [changed] = workshop.build(apps)

    before, after = workshop.image(first), workshop.image(changed)
    assert before.ref != after.ref
    new = set(after.blobs) - set(before.blobs)
    assert sum(after.blobs[digest] for digest in new) < 20_000
    # Otherwise the next run would have to read the bundle's files again.
    assert workshop.base_changed_at() == untouched


def test_one_module_of_several(workshop: Workshop) -> None:
    files = {
        "pom.xml": AGGREGATOR,
        "words/pom.xml": MODULE.format(name="words", more=""),
        "words/src/main/java/w/Words.java": "package w; public class Words {}",
        "service/pom.xml": MODULE.format(name="service", more=SERVICE_MORE),
        "service/src/main/java/s/Main.java": (
            "package s; public class Main { public static void main(String[] a) "
            "{ System.out.println(new w.Words()); } }"
        ),
    }
    workshop.repository("many", files)

    [named, unnamed] = workshop.build(
        [
            {"name": "many", "git_url": "many", "build": {"jib": {"module": "service"}}},
            {"name": "all", "git_url": "many"},
        ]
    )

    content = workshop.files(workshop.image(named))
    assert "app/classes/s/Main.class" in content
    assert "app/libs/words-1.jar" in content
    assert "several modules: words, service" in reason(unnamed)


def test_folders_of_one_repository(workshop: Workshop) -> None:
    alone, parent = "services/an alone one", "<relativePath>../../pom.xml</relativePath></parent>"
    files = {
        "pom.xml": AGGREGATOR.replace("<modules>", "<!--").replace("</modules>", "-->"),
        f"{alone}/pom.xml": POM.format(more=""),
        f"{alone}/{MAIN_PLACE}": MAIN_CLASS,
        "services/child/pom.xml": MODULE.format(name="child", more="").replace("</parent>", parent),
        f"services/child/{MAIN_PLACE}": MAIN_CLASS,
        "services/many/pom.xml": AGGREGATOR,
        "services/many/words/pom.xml": MODULE.format(name="words", more=""),
        "services/many/words/src/main/java/w/Words.java": "package w; public class Words {}",
        "services/many/service/pom.xml": MODULE.format(name="service", more=SERVICE_MORE),
        f"services/many/service/{MAIN_PLACE}": MAIN_CLASS,
        "services/web/Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY . /web\n",
        "services/web/.dockerignore": "hidden\n",
        "services/web/hidden": "",
    }
    workshop.repository("shop", files)
    module = {"jib": {"module": "service"}}
    apps: list[dict[str, Any]] = [
        {"name": "alone", "git_url": "shop", "git_path": alone},
        {"name": "child", "git_url": "shop", "git_path": "services/child"},
        {"name": "many", "git_url": "shop", "git_path": "services/many", "build": module},
        {"name": "web", "git_url": "shop", "git_path": "services/web/"},
    ]

    first = workshop.build(apps)

    for app in first[:3]:
        assert "app/classes/s/Main.class" in workshop.files(workshop.image(app))
    assert "app/libs/words-1.jar" in workshop.files(workshop.image(first[2]))
    web = {name for name in workshop.files(workshop.image(first[3])) if name.startswith("web/")}
    assert web == {"web/Dockerfile", "web/.dockerignore"}

    workshop.said.clear()
    workshop.repository("shop", {"README": "more"})
    again = workshop.build(apps)
    built = [line.split(":")[0] for line in workshop.said if ": built in" in line]
    assert built == ["child (main)"]  # of which the parent is above
    assert [*map(workshop.image, again)] == [*map(workshop.image, first)]


def test_failing_builds_give_the_tools_words_and_others_go_on(workshop: Workshop) -> None:
    broken = APPLICATION.replace("Application.class", "Applicatoin.class")
    place = "src/main/java/org/example/Application.java"
    workshop.repository("broken", {"pom.xml": OLD_POM, place: broken})
    workshop.repository("torn", {"Dockerfile": "FROM scratch\nCOPY nothing /\n"})
    workshop.repository("empty", {"README": "no builder"})
    workshop.repository("sound", {"Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY . /x\n"})

    apps = workshop.build(
        [{"name": name, "git_url": name} for name in ("broken", "torn", "empty", "sound")]
    )

    reasons = [reason(app) for app in apps]
    assert "Application.java:[9,3" in reasons[0]
    assert "cannot find symbol" in reasons[0]
    assert '"/nothing": not found' in reasons[1]
    assert "neither pom.xml nor Dockerfile" in reasons[2]
    assert reasons[3] == ""


def test_dockerfile_on_the_bundles_base(workshop: Workshop) -> None:
    dockerfile = (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS run\nARG WORD\nLABEL word=${WORD}\nCOPY . /x\n"
    )
    workshop.repository("web", {"docker/Dockerfile": dockerfile, "docker/a.txt": "text"})

    [app] = workshop.build(
        [
            {
                "name": "web",
                "git_url": "web",
                "build": {"buildx": {"context": "docker", "target": "run", "args": {"WORD": "hi"}}},
            }
        ]
    )

    image = workshop.image(app)
    assert image.layers[0].digest == workshop.base(PYTHON).layers[0].digest
    assert workshop.config(image)["config"]["Labels"]["word"] == "hi"
    assert workshop.files(image)["x/a.txt"] == b"text"
    assert not any(name.startswith("x/.git") for name in workshop.files(image))


@pytest.mark.usefixtures("engine")
def test_dockerfile_with_dockers_engine(workshop: Workshop) -> None:
    dockerfile = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY . /x\n"
    workshop.repository("web", {"Dockerfile": dockerfile, "a.txt": "text"})

    [app] = workshop.build([{"name": "web", "git_url": "web"}])

    image = workshop.image(app)
    assert image.layers[0].digest == workshop.base(PYTHON).layers[0].digest
    assert workshop.files(image)["x/a.txt"] == b"text"


def test_branches_share_what_was_built(workshop: Workshop) -> None:
    dockerfile = (
        "# syntax=docker/dockerfile:1\n"
        f"FROM {workshop.python}\nRUN cat /proc/sys/kernel/random/uuid > /once\nCOPY word /word\n"
    )
    workshop.repository("web", {"Dockerfile": dockerfile, "word": "main"})
    workshop.repository("web", {"word": "branch"}, "feature/x")
    app = {"name": "web", "git_url": "web", "base_image": workshop.python}
    [main] = workshop.build([app])

    [branch] = workshop.build([{**app, "git_branch": "feature/x"}])

    *below, top = workshop.image(main).layers
    *below_branch, top_of_branch = workshop.image(branch).layers
    assert below_branch == below
    assert top_of_branch != top
    files = workshop.files(workshop.image(branch))
    assert files["word"] == b"branch"
    assert len(files["once"].strip()) == 36


def test_runs_at_the_same_time_share_the_daemon_and_the_last_one_stops_it(
    workshop: Workshop,
) -> None:
    for name in ("one", "two"):
        dockerfile = f"FROM {workshop.python}\nRUN python3 -c 'import time; time.sleep(1)'\n"
        workshop.repository(name, {"Dockerfile": dockerfile, "name": name})
    apps = [
        {"name": name, "git_url": name, "base_image": workshop.python} for name in ("one", "two")
    ]
    daemon = Daemon(Programs.of(workshop.bundle), workshop.cache / "buildkit")

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(workshop.build, [app]) for app in apps]
        images = [workshop.image(app) for run in runs for app in run.result()]

    assert len(images) == 2
    assert not daemon.answers()


def test_secret_of_a_dockerfile_is_there_for_its_step_alone(workshop: Workshop) -> None:
    step = "RUN --mount=type=secret,id=token"
    workshop.repository(
        "web",
        {"Dockerfile": f"FROM {workshop.python}\n{step} sha256sum < /run/secrets/token > /sum\n"},
    )
    workshop.repository(
        "torn", {"Dockerfile": f"FROM {workshop.python}\n{step} cat /run/secrets/token; false\n"}
    )
    workshop.secrets = {"web_token": "not-to-be-seen-7351"}
    build = {"buildx": {"secrets": {"token": "web_token"}}}

    web, torn = workshop.build(
        [
            {"name": name, "git_url": name, "base_image": workshop.python, "build": build}
            for name in ("web", "torn")
        ]
    )

    expected = sha256(b"not-to-be-seen-7351").hexdigest()
    assert workshop.files(workshop.image(web))["sum"].decode().startswith(expected)
    assert "***" in reason(torn)
    assert holding(b"not-to-be-seen-7351", workshop.root) == []
    assert not any("not-to-be-seen" in text for text in [str([web, torn]), *workshop.said])


def test_secret_of_a_maven_project_is_in_its_environment(workshop: Workshop) -> None:
    workshop.repository("web", {"pom.xml": POM_WITH_SECRET, MAIN_PLACE: MAIN_CLASS})
    workshop.secrets = {"maven_token": "not-to-be-seen-7351"}

    [app] = workshop.build(
        [
            {
                "name": "web",
                "git_url": "web",
                "build": {"jib": {"secrets": {"REPOSITORY_TOKEN": "maven_token"}}},
            }
        ]
    )

    assert workshop.config(workshop.image(app))["config"]["Labels"]["token"] == "there"
    assert holding(b"not-to-be-seen-7351", workshop.root) == []


def test_base_of_a_registry_is_asked_for_once(workshop: Workshop) -> None:
    tools = workshop.bundle / "tools"
    workshop.repository("web", {"Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY a /a\n"})
    workshop.repository("web", {"a": "1"})
    workshop.repository(
        "api", {"pom.xml": POM.format(more=""), "src/main/java/s/Main.java": MAIN_CLASS}
    )
    with served(tools / "docker-registry", workshop.root / "registry") as registry:
        base = f"{registry}/base:1"
        push(workshop, base)
        apps = [{"name": name, "git_url": name, "base_image": base} for name in ("web", "api")]
        first = [workshop.image(app) for app in workshop.build(apps)]

    # The registry is gone.
    workshop.repository("web", {"a": "2"})
    workshop.repository("api", {MAIN_PLACE: MAIN_CLASS.replace("one", "two")})
    again = [workshop.image(app) for app in workshop.build(apps)]

    for before, after in zip(first, again, strict=True):
        assert before.layers[0] == after.layers[0]
        assert before.ref != after.ref
        assert workshop.config(after)["config"]["Env"][-1] == "PUSHED=yes"

    (workshop.cache / "bases.json").unlink()
    [web, _] = workshop.build(apps)
    assert f"base image {base}" in reason(web)


def push(workshop: Workshop, ref: str) -> None:
    """Push an image to a registry."""
    context = workshop.root / "push"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /pushed\nENV PUSHED=yes\n")
    with Daemon(Programs.of(workshop.bundle), workshop.cache / "buildkit") as daemon:
        daemon.start()
        daemon.call(
            *("build", "--frontend=dockerfile.v0"),
            *(f"--local=context={context}", f"--local=dockerfile={context}"),
            f"--output=type=image,name={ref},push=true",
            what="push",
        )


def test_archives_are_taken_as_they_are(workshop: Workshop) -> None:
    bundle = ImageStore(workshop.bundle / "images")
    elsewhere = workshop.root / "elsewhere.tar.gz"
    bundle.write_docker_archive(JRE, workshop.root / "docker.tar")
    elsewhere.write_bytes(gzip.compress((workshop.root / "docker.tar").read_bytes()))
    with (workshop.root / "oci.tar").open("wb") as oci:
        bundle.write_archive([PYTHON], oci)
    workshop.repository(
        "web", {"images/web.tar": (workshop.root / "oci.tar").read_bytes(), "a": "1"}
    )
    apps = [
        {"name": name, "git_url": "web", "build": {"prebuilt": {"archive": str(archive)}}}
        for name, archive in (
            ("inside", "images/web.tar"),
            ("outside", elsewhere),
            ("no", "no.tar"),
        )
    ]

    inside, outside, missing = workshop.build(apps)

    assert workshop.image(inside).manifest_digest == workshop.base(PYTHON).manifest_digest
    assert workshop.image(outside).config_digest == workshop.base(JRE).config_digest
    assert reason(missing) == "no (main): has no file no.tar in its repository"

    workshop.said.clear()
    workshop.repository("web", {"a": "2"})
    assert workshop.image(workshop.build(apps[:2])[0]) == workshop.image(inside)
    assert not any("built" in line for line in workshop.said)

    elsewhere.write_bytes((workshop.root / "oci.tar").read_bytes())
    changed = workshop.image(workshop.build(apps[1:2])[0])
    assert changed.manifest_digest == workshop.base(PYTHON).manifest_digest


def test_unpacked_archive_stays_as_it_is(workshop: Workshop) -> None:
    folder = workshop.root / "unpacked"
    packed = workshop.root / "packed.tar"
    with packed.open("wb") as out:
        ImageStore(workshop.bundle / "images").write_archive([workshop.python], out)
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    files = [folder, *sorted(folder.rglob("*"))]
    before = [(path, path.lstat()[:7], path.lstat().st_ctime_ns) for path in files]
    app = {"name": "web", "git_url": "web", "build": {"prebuilt": {"archive": str(folder)}}}
    workshop.repository("web", {"a": "1"})

    for _ in range(2):
        image = workshop.image(workshop.build([app])[0])
        assert image.manifest_digest == workshop.base(workshop.python).manifest_digest
        assert ImageStore(workshop.cache / "images").verify(image.ref) == []
        shutil.rmtree(workshop.cache)

    assert [folder, *sorted(folder.rglob("*"))] == files
    assert [(path, path.lstat()[:7], path.lstat().st_ctime_ns) for path in files] == before
    assert all(
        f"sha256:{sha256(path.read_bytes()).hexdigest()}" in image.blobs
        for path in (folder / "blobs" / "sha256").iterdir()
    )


def holding(value: bytes, folder: Path) -> list[Path]:
    """The files below ``folder`` that hold ``value``."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and value in path.read_bytes()
    ]

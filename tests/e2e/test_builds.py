"""Real builds with Maven and Docker, of old and new projects, on bases of our own."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.build import Settings, build_images
from slipway.apps.plan import plan
from slipway.apps.source import get_sources
from slipway.oci import Image, ImageConfig, ImageStore, TreeEntry, layer_from_tree
from tests.e2e.scenario import PROJECT, Scenario

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


class Workshop:
    """A folder with repositories, a bundle with two base images, a cache and an apps.yml."""

    def __init__(self, root: Path, buildx: Path) -> None:
        self.root = root
        self.buildx = buildx
        self.cache = root / "cache"
        self.said: list[str] = []
        bundle = ImageStore(root / "bundle")
        for ref in (JRE, PYTHON):
            layer = layer_from_tree({"etc/base": ref.encode(), "bin": TreeEntry(None)})
            bundle.add_image(ref, [layer], ImageConfig(env={"BASE": ref}))

    def repository(self, name: str, files: Mapping[str, str]) -> None:
        """Commit the files to the branch main of a repository, made when it is not there."""
        folder = self.root / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        identity = ["-c", "user.name=Test", "-c", "user.email=test@slipway.test"]
        for call in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "files"]):
            subprocess.run(["git", *identity, *call], cwd=folder, check=True)

    def build(self, apps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Plan, fetch and build; the records."""
        (self.root / "apps.yml").write_text(json.dumps({"version": 1, "apps": apps}))
        sources = get_sources(
            plan(self.root / "apps.yml"), self.cache, check=False, say=self.said.append
        )
        settings = Settings(
            self.cache, self.root / "bundle", {"jib": JRE, "buildx": PYTHON}, str(self.buildx)
        )
        return build_images(sources.records, settings, check=False, say=self.said.append).records

    def image(self, record: Mapping[str, Any]) -> Image:
        """The image of a record."""
        assert "failed" not in record, record["failed"]["reason"]
        image = ImageStore(self.cache / "images").get(record["image"])
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
                    if content := tar.extractfile(member):
                        found[member.name] = content.read()
        return found

    def base(self, ref: str) -> Image:
        """A base image of the bundle."""
        image = ImageStore(self.root / "bundle").get(ref)
        assert image is not None
        return image

    def _blob(self, digest: str) -> Path:
        return self.cache / "images" / "blobs" / "sha256" / digest.removeprefix("sha256:")


@pytest.fixture
def workshop(scenario: Scenario, tmp_path: Path) -> Workshop:
    return Workshop(tmp_path, scenario.bundle / "tools" / "docker-buildx")


@pytest.fixture
def engine() -> Iterator[None]:
    """Docker's engine, left without the base image that a test gives it."""
    yield
    subprocess.run(["docker", "image", "rm", PYTHON], check=True, capture_output=True)


def test_old_project_on_another_base(workshop: Workshop) -> None:
    workshop.repository(
        "old", {"pom.xml": OLD_POM, "src/main/java/org/example/Application.java": APPLICATION}
    )

    [record] = workshop.build([{"name": "old", "git_url": "old"}])

    image = workshop.image(record)
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
    assert record["image"] == (
        f"apps.slipway.internal/old:main-{image.config_digest.removeprefix('sha256:')[:12]}"
    )


def test_base_from_an_archive(workshop: Workshop) -> None:
    workshop.repository(
        "old", {"pom.xml": OLD_POM, "src/main/java/org/example/Application.java": APPLICATION}
    )
    archive = workshop.root / "jre8.tar"
    ImageStore(workshop.root / "bundle").write_docker_archive(PYTHON, archive)

    [record] = workshop.build([{"name": "old", "git_url": "old", "base_image": f"tar://{archive}"}])

    assert f"BASE={PYTHON}" in workshop.config(workshop.image(record))["config"]["Env"]


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

    assert again["image"] == first["image"]
    assert not any("built" in line for line in workshop.said)

    words = "src/main/java/org/example/greeter/Greeting.java"
    workshop.repository("greeter", {words: tree[words].replace("from main", "from here")})
    [changed] = workshop.build(apps)

    before, after = workshop.image(first), workshop.image(changed)
    assert before.ref != after.ref
    new = set(after.blobs) - set(before.blobs)
    assert sum(after.blobs[digest] for digest in new) < 20_000


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
    assert "several modules: words, service" in unnamed["failed"]["reason"]


@pytest.mark.usefixtures("engine")
def test_failing_builds_give_the_tools_words_and_others_go_on(workshop: Workshop) -> None:
    broken = APPLICATION.replace("Application.class", "Applicatoin.class")
    place = "src/main/java/org/example/Application.java"
    workshop.repository("broken", {"pom.xml": OLD_POM, place: broken})
    workshop.repository("torn", {"Dockerfile": "FROM scratch\nCOPY nothing /\n"})
    workshop.repository("empty", {"README": "no builder"})
    workshop.repository("sound", {"Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY . /x\n"})

    records = workshop.build(
        [{"name": name, "git_url": name} for name in ("broken", "torn", "empty", "sound")]
    )

    reasons = [record.get("failed", {}).get("reason", "") for record in records]
    assert "Application.java:[9,3" in reasons[0]
    assert "cannot find symbol" in reasons[0]
    assert '"/nothing" not found' in reasons[1]
    assert "neither pom.xml nor Dockerfile" in reasons[2]
    assert reasons[3] == ""


@pytest.mark.usefixtures("engine")
def test_dockerfile_on_the_bundles_base(workshop: Workshop) -> None:
    dockerfile = (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS run\nARG WORD\nLABEL word=${WORD}\nCOPY . /x\n"
    )
    workshop.repository("web", {"docker/Dockerfile": dockerfile, "docker/a.txt": "text"})

    [record] = workshop.build(
        [
            {
                "name": "web",
                "git_url": "web",
                "build": {"buildx": {"context": "docker", "target": "run", "args": {"WORD": "hi"}}},
            }
        ]
    )

    image = workshop.image(record)
    assert image.layers[0].digest == workshop.base(PYTHON).layers[0].digest
    assert workshop.config(image)["config"]["Labels"]["word"] == "hi"
    assert workshop.files(image)["x/a.txt"] == b"text"
    assert not any(name.startswith("x/.git") for name in workshop.files(image))

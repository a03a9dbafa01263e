"""Maven, Jib and the registry are real: projects that are written for other places are built."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import JibBuild
from slipway.apps.builders.bases import Base, StoredImage
from slipway.apps.builders.jib import Jib
from slipway.apps.builders.maven_user import MavenUser
from slipway.apps.builders.order import Order
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.maven_samples import write
from tests.support.real_bundle import real_bundle, real_sandboxes

BASE = "bundle.slipway.internal/base:1"
VERSION = "3.5.2"

COMMON = """
<modelVersion>4.0.0</modelVersion><groupId>test</groupId><version>1</version>
<properties>
  <maven.compiler.source>11</maven.compiler.source>
  <maven.compiler.target>11</maven.compiler.target>
  <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
</properties>
"""
PARENT = "<parent><groupId>test</groupId><artifactId>all</artifactId><version>1</version></parent>"
MAIN = "public class Main { public static void main(String[] arguments) { %s } }"


def jib(configuration: str, more: str = "") -> str:
    """The plugin with a configuration."""
    return f"""<build><plugins><plugin>
      <groupId>com.google.cloud.tools</groupId><artifactId>jib-maven-plugin</artifactId>
      <version>{VERSION}</version><configuration>{configuration}</configuration>{more}
    </plugin></plugins></build>"""


COMPANY = """
<skip>true</skip>
<allowInsecureRegistries>false</allowInsecureRegistries>
<from>
  <image>registry.company.example/base/java:21</image>
  <credHelper>ecr-login</credHelper>
  <platforms>
    <platform><os>linux</os><architecture>amd64</architecture></platform>
    <platform><os>linux</os><architecture>arm64</architecture></platform>
  </platforms>
</from>
<to>
  <image>registry.company.example/team/web:${project.version}</image>
  <credHelper>ecr-login</credHelper>
  <auth><username>robot</username><password>${env.NOWHERE}</password></auth>
  <tags><tag>latest</tag><tag>${project.version}</tag></tags>
</to>
<container><format>Docker</format><creationTime>USE_CURRENT_TIMESTAMP</creationTime></container>
<extraDirectories>
  <paths><path><from>src/main/files</from><into>/opt</into></path></paths>
  <permissions><permission><file>/opt/run.sh</file><mode>755</mode></permission></permissions>
</extraDirectories>
<outputPaths><digest>${project.build.directory}/company.digest</digest></outputPaths>
"""

BOUND = """<executions><execution>
  <id>company</id><phase>process-classes</phase><goals><goal>dockerBuild</goal></goals>
</execution></executions>"""


class Workshop:
    """A builder with a cache, and a base in a bundle."""

    def __init__(self, root: Path) -> None:
        self.root = root
        store = ImageStore(root / "bundle")
        program = real_bundle() / "tools" / "docker-registry"
        cache = CacheLayout(root / "cache")
        known = MavenUser.here(cache).repositories()
        self.builder = Jib(cache, program, store, real_sandboxes(), repositories=known)
        image = store.add_image(BASE, [layer_from_tree({"base": b"x"})], ImageConfig())
        self.base: Base | None = Base(
            BASE, image.manifest_digest, lambda: StoredImage(store, image)
        )

    def build(self, files: dict[str, str], **options: Any) -> dict[str, int]:
        """Build a project; the files of its image, with their modes."""
        image = self.built(files, **options)
        [entry] = json.loads((image / "index.json").read_bytes())["manifests"]
        blobs = image / "blobs" / "sha256"
        manifest = json.loads((blobs / entry["digest"][7:]).read_bytes())
        found: dict[str, int] = {}
        for layer in manifest["layers"]:
            with tarfile.open(blobs / layer["digest"][7:]) as tar:
                found |= {member.name: member.mode & 0o777 for member in tar if member.isreg()}
        return found

    def built(self, files: dict[str, str], **options: Any) -> Path:
        """The image of a project."""
        write(self.root / "checkout", files)
        scratch = self.root / "scratch"
        scratch.mkdir()
        place = self.root / "checkout"
        build = JibBuild(**options)
        order = Order("web (main)", "web", place, build, self.base, {}, scratch)
        return self.builder.build(order)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_a_project_that_is_written_for_a_company_s_registry(workshop: Workshop) -> None:
    found = workshop.build(
        {
            "pom.xml": COMMON + "<artifactId>web</artifactId>" + jib(COMPANY, BOUND),
            "src/main/java/Main.java": MAIN % "",
            "src/main/files/run.sh": "",
        }
    )
    assert found["opt/run.sh"] == 0o755
    assert {"base", "app/classes/Main.class"} <= found.keys()


def test_a_module_that_needs_the_tests_of_another_one(workshop: Workshop) -> None:
    test_jar = "<goals><goal>test-jar</goal></goals>"
    plugin = f"<artifactId>maven-jar-plugin</artifactId><executions><execution>{test_jar}"
    tests = "<type>test-jar</type><version>${project.version}</version>"
    found = workshop.build(
        {
            "pom.xml": COMMON
            + "<artifactId>all</artifactId><packaging>pom</packaging>"
            + "<modules><module>core</module><module>web</module></modules>",
            "core/pom.xml": f"<modelVersion>4.0.0</modelVersion>{PARENT}"
            f"<artifactId>core</artifactId><build><plugins><plugin>{plugin}"
            "</execution></executions></plugin></plugins></build>",
            "core/src/test/java/sample/Sample.java": "package sample; public class Sample { }",
            "web/pom.xml": f"<modelVersion>4.0.0</modelVersion>{PARENT}"
            "<artifactId>web</artifactId><dependencies><dependency><groupId>test</groupId>"
            f"<artifactId>core</artifactId>{tests}</dependency></dependencies>",
            "web/src/main/java/Main.java": MAIN % "new sample.Sample();",
        },
        module="web",
    )
    assert "app/classes/Main.class" in found
    assert any(name.endswith("core-1-tests.jar") for name in found)


def test_a_project_of_which_jib_makes_no_image_is_told_why(workshop: Workshop) -> None:
    pom = COMMON + "<artifactId>web</artifactId><packaging>pom</packaging>"
    with pytest.raises(SlipwayError, match=r"Jib has made no image of it\n +fix: Jib makes"):
        workshop.build({"pom.xml": pom})


def test_an_image_on_a_base_that_jib_fetches_comes_back_as_a_file(workshop: Workshop) -> None:
    """Jib needs no registry for ``scratch``, which has no certificate either."""
    workshop.base = None
    pom = COMMON + "<artifactId>web</artifactId>" + jib("<from><image>scratch</image></from>")
    archive = workshop.built({"pom.xml": pom, "src/main/java/Main.java": MAIN % ""})
    assert archive.is_file()
    store = ImageStore(workshop.root / "images")
    assert store.add_archive(archive, "a.test/web:1").layers


NEEDED = "<groupId>test</groupId><artifactId>needed</artifactId><version>1</version>"
OWN_REPOSITORY = f"""
<repositories><repository>
  <id>own</id><url>file://${{project.basedir}}/repository</url>
</repository></repositories>
<dependencies><dependency>{NEEDED}<type>pom</type></dependency></dependencies>
"""
DAMAGED = {
    "pom.xml": COMMON + "<artifactId>web</artifactId>" + OWN_REPOSITORY + jib(""),
    "src/main/java/Main.java": MAIN % "",
    "repository/test/needed/1/needed-1.pom": (
        f"<project><modelVersion>4.0.0</modelVersion>{NEEDED}<packaging>pom</packaging></project>"
    ),
    "repository/test/needed/1/needed-1.pom.sha1": "0" * 40,
    ".mvn/maven.config": "--lax-checksums\n",
}


def test_what_is_not_as_its_checksum_says_is_built_with_only_by_who_is_lax(
    workshop: Workshop,
) -> None:
    with pytest.raises(SlipwayError, match="Checksum validation failed"):
        workshop.build(DAMAGED)
    (workshop.root / "scratch").rename(workshop.root / "before")
    assert workshop.build(DAMAGED, args=["--lax-checksums"])

"""How Maven is called, and how a base gets below what Jib made."""

from __future__ import annotations

import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import JibBuild
from slipway.apps.builders.bases import Base, StoredImage
from slipway.apps.builders.jib import (
    PLUGIN,
    PLUGIN_VERSION,
    Jib,
    Project,
    command,
    on_base,
    properties,
    stand_in,
    write_stand_in,
)
from slipway.apps.builders.order import Order
from slipway.bundle.download import Login
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from slipway.oci.model import Descriptor, Manifest
from tests.support.maven_samples import order, write
from tests.support.sandboxes import Noting

PLATFORM = "linux/arm64"

JIB = "<plugin><artifactId>jib-maven-plugin</artifactId></plugin>"


PLAIN = Project(None, (), has_plugin=True, needs_package=False, needs_tests=False)


def project(root: Path, poms: dict[str, str], folder: str = ".", **options: Any) -> Project:
    write(root, poms)
    return Project.read(
        Order("web (main)", "web", root, JibBuild(**options), None, {}, root, folder)
    )


def test_plain_project(tmp_path: Path) -> None:
    found = project(tmp_path, {"pom.xml": JIB})
    assert command(found, {"a": "1"}, "build") == [
        "mvn",
        "--batch-mode",
        "--quiet",
        "--strict-checksums",
        "process-classes",
        f"{PLUGIN}:build",
        "-Da=1",
    ]


def test_project_without_the_plugin_gets_a_pinned_one(tmp_path: Path) -> None:
    found = project(tmp_path, {"pom.xml": ""})
    assert f"{PLUGIN}:{PLUGIN_VERSION}:build" in command(found, {}, "build")


@pytest.mark.parametrize(
    "text",
    [
        "<packaging>war</packaging>",
        "<packaging> war\n</packaging>",
        "<containerizingMode>packaged</containerizingMode>",
        "<properties><jib.containerizingMode>packaged</jib.containerizingMode></properties>",
    ],
)
def test_project_that_needs_its_package(tmp_path: Path, text: str) -> None:
    assert "package" in command(project(tmp_path, {"pom.xml": text}), {}, "build")


@pytest.mark.parametrize(
    "text",
    [
        "<!-- <packaging>war</packaging> -->",
        "<description>&lt;containerizingMode>packaged&lt;/containerizingMode></description>",
        f"<!-- {JIB} --><description><![CDATA[{JIB}<module>a</module>]]></description>",
        "<profiles><profile><modules><module>a</module></modules></profile></profiles>",
    ],
)
def test_what_only_looks_like_it_makes_no_other_project(tmp_path: Path, text: str) -> None:
    assert project(tmp_path, {"pom.xml": text}) == project(tmp_path / "plain", {"pom.xml": ""})


TEST_JARS = {
    "goal": "<execution><goals><goal>jar</goal><goal> test-jar </goal></goals></execution>",
    "type": "<dependency><type>test-jar</type></dependency>",
    "classifier": "<dependency><classifier>tests</classifier></dependency>",
}


@pytest.mark.parametrize("case", TEST_JARS)
def test_tests_of_a_module_are_compiled_where_another_one_needs_them(
    tmp_path: Path, case: str
) -> None:
    poms = {"pom.xml": "<modules><module>a</module></modules>", "b/pom.xml": TEST_JARS[case]}
    found = project(tmp_path, poms, module="a")
    settings = properties(found, "x", None, PLATFORM)
    assert (settings["maven.test.skip"], settings["skipTests"]) == ("false", "true")


def test_no_tests_are_compiled_where_nobody_needs_them(tmp_path: Path) -> None:
    alone = project(tmp_path, {"pom.xml": TEST_JARS["goal"]})
    for found in (alone, PLAIN):
        settings = properties(found, "x", None, PLATFORM)
        assert settings["maven.test.skip"] == "true"


def test_module_and_what_it_needs(tmp_path: Path) -> None:
    poms = {"pom.xml": "<modules><module>a</module></modules>", "a/pom.xml": JIB}
    call = command(project(tmp_path, poms, module="a", args=["-Pfast", "-X"]), {"a": "1"}, "build")
    assert call[4:] == [
        "-pl",
        "a",
        "-am",
        "package",
        f"{PLUGIN}:build",
        "-Da=1",
        "-Djib.containerize=a",
        "-Pfast",
        "-X",
    ]


@pytest.mark.parametrize("lax", ["-c", "--lax-checksums"])
def test_checksums_count_unless_the_author_of_apps_yml_is_lax(tmp_path: Path, lax: str) -> None:
    poms = {"pom.xml": JIB, ".mvn/maven.config": "--lax-checksums\n"}
    strict = command(project(tmp_path, poms, args=["-Pfast"]), {}, "build")
    assert "--strict-checksums" in strict
    call = command(project(tmp_path, poms, args=["-Pfast", lax]), {}, "build")
    assert "--strict-checksums" not in call
    assert lax in call


def test_module_has_to_be_named(tmp_path: Path) -> None:
    poms = {"pom.xml": "<modules><module>a</module>\n<module>b</module></modules>"}
    with pytest.raises(SlipwayError, match=r"modules: a, b\n.*module: b") as caught:
        project(tmp_path, poms)
    assert caught.value.problems[0].where == "web (main)"


@pytest.mark.parametrize(
    ("folder", "place"), [(".", "at the top of its repository"), ("a", "in a")]
)
def test_no_pom(tmp_path: Path, folder: str, place: str) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(SlipwayError) as caught:
        project(tmp_path, {}, folder)
    assert caught.value.problems[0].what == f"has no pom.xml {place}"


def test_no_pom_here_but_in_another_folder(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError) as caught:
        project(tmp_path, {"services/orders/pom.xml": "", "web/Dockerfile": ""})
    assert str(caught.value) == (
        "web (main): has no pom.xml at the top of its repository; there is one in services/orders\n"
        "    fix: write git_path: services/orders"
    )


def test_a_parent_above_may_have_the_plugin(tmp_path: Path) -> None:
    parent = "<parent><artifactId>all</artifactId></parent>"
    poms = {"a/pom.xml": parent, "pom.xml": f"<artifactId>all</artifactId>{JIB}"}
    assert f"{PLUGIN}:build" in command(project(tmp_path, poms, "a"), {}, "build")


def test_a_project_beside_has_nothing_to_say(tmp_path: Path) -> None:
    poms = {"a/pom.xml": "", "b/pom.xml": f"{JIB}<packaging>war</packaging>", "pom.xml": JIB}
    call = command(project(tmp_path, poms, "a"), {}, "build")
    assert f"{PLUGIN}:{PLUGIN_VERSION}:build" in call
    assert "process-classes" in call


def test_a_module_of_a_project_in_a_folder(tmp_path: Path) -> None:
    poms = {"a/pom.xml": "<modules><module>b</module></modules>", "a/b/pom.xml": JIB}
    assert command(project(tmp_path, poms, "a", module="b"), {}, "build")[4:6] == ["-pl", "b"]


@pytest.mark.parametrize("name", ["pom.xml", "a/pom.xml"])
@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", "chain"])
def test_pom_that_leads_out_of_the_repository(tmp_path: Path, name: str, target: str) -> None:
    root = tmp_path / "checkout"
    write(root, {"pom.xml": "", "a/other": "", "../elsewhere": ""})
    (root / name).unlink(missing_ok=True)
    (root / "chain").symlink_to("../elsewhere")
    (root / name).symlink_to(root / target)
    with pytest.raises(SlipwayError) as caught:
        project(root, {})
    [problem] = caught.value.problems
    assert problem.where == "web (main)"
    assert problem.what == f"{name} cannot be read: it leads out of the repository"


def test_pom_that_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "pom.xml").symlink_to("pipe")
    with pytest.raises(SlipwayError, match="it is neither a file nor a folder"):
        project(tmp_path, {})


def test_pom_that_is_a_link_within_the_repository(tmp_path: Path) -> None:
    write(tmp_path, {"build/maven.xml": JIB})
    (tmp_path / "pom.xml").symlink_to("build/maven.xml")
    assert project(tmp_path, {}).has_plugin


def test_properties_for_a_base_at_hand() -> None:
    found = properties(PLAIN, "x", "tar:///base.tar", PLATFORM)
    assert found["jib.to.image"] == "127.0.0.1:39187/app:x"
    assert found["jib.from.image"] == "tar:///base.tar"
    assert found["jib.from.platforms"] == PLATFORM
    assert found["jib.container.format"] == "OCI"
    assert found["jib.outputPaths.digest"] == "/work/x"
    assert found["jib.baseImageCache"] == "/cache/base"


@pytest.mark.parametrize(
    ("base", "expected"),
    [("tar:///in/base.tar", "true"), ("127.0.0.1:5000/java:21", "false"), (None, "false")],
)
def test_certificates_of_registries_count_where_any_but_our_own_is_asked(
    base: str | None, expected: str
) -> None:
    assert properties(PLAIN, "x", base, PLATFORM)["jib.allowInsecureRegistries"] == expected


def test_properties_for_a_base_in_a_registry_leave_its_credentials_alone() -> None:
    found = properties(PLAIN, "x", "java:21", PLATFORM)
    assert found["jib.from.image"] == "java:21"
    assert not any(name.startswith("jib.from.auth") for name in found)


def test_properties_for_the_poms_own_base() -> None:
    found = properties(PLAIN, "x", None, PLATFORM)
    of_base = {name: text for name, text in found.items() if name.startswith("jib.from")}
    assert of_base == {"jib.from.platforms": PLATFORM}


def descriptor(digit: str) -> Descriptor:
    return Descriptor("application/vnd.oci.image.layer.v1.tar", f"sha256:{digit * 64}", 1)


def test_base_goes_below_what_was_built() -> None:
    base = {
        "architecture": "amd64",
        "config": {"Env": ["A=1"], "User": "7"},
        "rootfs": {"type": "layers", "diff_ids": ["b1", "b2"]},
        "history": [{"created_by": "base"}, {"created_by": "base", "empty_layer": True}],
    }
    small = stand_in(base)
    assert small["config"] == base["config"]
    assert small["rootfs"]["diff_ids"] == small["history"] == []

    built = {
        **small,
        "config": {"Env": ["A=1"], "Entrypoint": ["java"]},
        "rootfs": {"type": "layers", "diff_ids": ["a1"]},
        "history": [{"created_by": "jib"}],
    }
    layers, config = on_base(
        [descriptor("1"), descriptor("2")],
        base,
        Manifest(descriptor("9"), (descriptor("3"),)),
        built,
    )
    assert layers == (descriptor("1"), descriptor("2"), descriptor("3"))
    assert config["rootfs"] == {"type": "layers", "diff_ids": ["b1", "b2", "a1"]}
    assert [entry["created_by"] for entry in config["history"]] == ["base", "base", "jib"]
    assert config["config"] == {"Env": ["A=1"], "Entrypoint": ["java"]}


def test_stand_in_is_an_archive_without_layers(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    layer = layer_from_tree({"file": b"x"})
    image = store.add_image("bundle.test/jre:1", [layer], ImageConfig(env={"A": "1"}))

    write_stand_in(StoredImage(store, image), tmp_path / "base.tar")

    found = {}
    with tarfile.open(tmp_path / "base.tar") as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            found[member.name] = json.load(content)
    [manifest] = found["manifest.json"]
    assert (manifest["Config"], manifest["Layers"]) == ("config.json", [])
    assert found["config.json"]["config"]["Env"] == ["A=1"]
    assert found["config.json"]["rootfs"]["diff_ids"] == []


def test_a_login_is_not_handed_to_maven_where_jib_would_fetch_the_base(tmp_path: Path) -> None:
    write(tmp_path / "checkout", {"pom.xml": ""})
    sandboxes = Noting()
    jib = Jib(CacheLayout(tmp_path / "cache"), tmp_path, ImageStore(tmp_path / "s"), sandboxes)
    base = Base("r.test/java:21", "r.test/java:21", None)
    private = replace(order(tmp_path), base=base, logins={"r.test": Login("me", "secret")})
    with pytest.raises(
        SlipwayError, match=r"base image r\.test/java:21 is fetched by Maven"
    ) as told:
        jib.build(private)
    assert "secret" not in str(told.value)
    assert sandboxes.runs == []

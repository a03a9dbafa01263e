"""How Maven is called, and how a base gets below what Jib made."""

from __future__ import annotations

import itertools
import json
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.build.bases import StoredImage
from slipway.apps.build.jib import (
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
from slipway.apps.build.order import Order
from slipway.apps.build.registry import Registry
from slipway.errors import SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from slipway.oci.model import Descriptor, Manifest, machine_platform

JIB = "<plugin><artifactId>jib-maven-plugin</artifactId></plugin>"


MAVEN = """#!/bin/sh
printf '%s\n' "$@" > "$LOG/argv"
env > "$LOG/environment"
case $MAVEN_OPTS in *ArchiveClassesAtExit=*) echo > "${MAVEN_OPTS##*=}";; esac
echo "the value is $TOKEN" >&2
exit ${CODE:-1}
"""


def registry(root: Path) -> Registry:
    return Registry("127.0.0.1:1", root)


def order(root: Path, **secrets: str) -> Order:
    """To build what is in ``checkout`` below ``root``."""
    scratch = root / "scratch"
    scratch.mkdir()
    return Order("web (main)", root / "checkout", {}, None, secrets, scratch)


def project(root: Path, poms: dict[str, str], **options: Any) -> Project:
    for place, text in poms.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(f"<project>{text}</project>")
    return Project.read(root, options, "web (main)")


def test_plain_project(tmp_path: Path) -> None:
    found = project(tmp_path, {"pom.xml": JIB})
    assert command(found, {"a": "1"}) == [
        "mvn",
        "--batch-mode",
        "--quiet",
        "process-classes",
        f"{PLUGIN}:build",
        "-Da=1",
    ]


def test_project_without_the_plugin_gets_a_pinned_one(tmp_path: Path) -> None:
    found = project(tmp_path, {"pom.xml": ""})
    assert f"{PLUGIN}:{PLUGIN_VERSION}:build" in command(found, {})


@pytest.mark.parametrize(
    "text",
    [
        "<packaging>war</packaging>",
        "<packaging> war\n</packaging>",
        "<containerizingMode>packaged</containerizingMode>",
    ],
)
def test_project_that_needs_its_package(tmp_path: Path, text: str) -> None:
    assert "package" in command(project(tmp_path, {"pom.xml": text}), {})


def test_module_and_what_it_needs(tmp_path: Path) -> None:
    poms = {"pom.xml": "<modules><module>a</module></modules>", "a/pom.xml": JIB}
    call = command(project(tmp_path, poms, module="a", args=["-Pfast", "-X"]), {"a": "1"})
    assert call[3:] == [
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


def test_module_has_to_be_named(tmp_path: Path) -> None:
    poms = {"pom.xml": "<modules><module>a</module>\n<module>b</module></modules>"}
    with pytest.raises(SlipwayError, match=r"modules: a, b\n.*module: b") as caught:
        project(tmp_path, poms)
    assert caught.value.problems[0].where == "web (main)"


def test_no_pom(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"has no pom\.xml"):
        project(tmp_path, {})


def test_properties_for_a_base_at_hand() -> None:
    found = properties("r:1/app:x", Path("/d"), Path("/jib"), "tar:///base.tar")
    assert found["jib.to.image"] == "r:1/app:x"
    assert found["jib.from.image"] == "tar:///base.tar"
    assert found["jib.from.platforms"] == machine_platform()
    assert found["jib.container.format"] == "OCI"
    assert found["jib.outputPaths.digest"] == "/d"
    assert found["jib.baseImageCache"] == "/jib/base"


def test_properties_for_a_base_in_a_registry_leave_its_credentials_alone() -> None:
    found = properties("r:1/app:x", Path("/d"), Path("/jib"), "java:21")
    assert found["jib.from.image"] == "java:21"
    assert not any(name.startswith("jib.from.auth") for name in found)


def test_properties_for_the_poms_own_base() -> None:
    found = properties("r:1/app:x", Path("/d"), Path("/jib"), None)
    assert not any(name.startswith("jib.from") for name in found)


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


def test_machine_without_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlipwayError) as caught:
        Jib(tmp_path, registry(tmp_path)).build(order(tmp_path))
    [problem] = caught.value.problems
    assert problem.what == "is built with Maven, which is not here"
    assert "packages maven" in problem.fix


def test_what_projects_need_is_downloaded_by_one_build_and_used_by_the_others_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = itertools.count()
    others_began = threading.Event()
    others = threading.Barrier(2)
    joined_by_others: list[bool] = []

    def maven(self: Jib, source: Path, argv: list[str], order: Order) -> None:
        if next(turns) == 0:
            joined_by_others.append(others_began.wait(0.3))
        else:
            others_began.set()
            others.wait(10)

    monkeypatch.setattr(Jib, "_maven", maven)
    for name in "abc":
        project(tmp_path / name, {"pom.xml": "the same"})
    with ThreadPoolExecutor(3) as pool:
        jib = Jib(tmp_path / "cache", registry(tmp_path))
        one = order(tmp_path)
        builds = [pool.submit(jib._run, tmp_path / name, [], one) for name in "abc"]
        for build in builds:
            build.result()
    assert joined_by_others == [False]


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


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a double of Maven writes down how it was called."""
    for folder in ("bin", "log"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin" / "mvn").write_text(MAVEN)
    (tmp_path / "bin" / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.delenv("MAVEN_OPTS", raising=False)
    return tmp_path / "log"


@pytest.fixture
def options(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What the JVM is told, with a Java of some version and a cache of some name."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("CODE", "0")
    one = order(tmp_path)

    def told(version: str, cache: str = "cache") -> str:
        (tmp_path / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
        Jib(tmp_path / cache, registry(tmp_path))._maven(tmp_path, ["mvn"], one)
        return next(
            line for line in (log / "environment").read_text().splitlines() if "MAVEN_OPTS" in line
        )

    return told


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
        Jib(tmp_path / "cache", registry(tmp_path))._maven(tmp_path, ["mvn"], order(tmp_path))
    assert "Archive" not in (log / "environment").read_text()


def test_a_build_that_fails_leaves_no_archive(tmp_path: Path, log: Path) -> None:
    with pytest.raises(SlipwayError):
        Jib(tmp_path / "cache", registry(tmp_path))._maven(tmp_path, ["mvn"], order(tmp_path))
    assert not (tmp_path / "cache").exists()


def test_secrets_are_in_mavens_environment_and_nowhere_else(tmp_path: Path, log: Path) -> None:
    project(tmp_path / "checkout", {"pom.xml": ""})

    with pytest.raises(SlipwayError, match="the value is hidden-1234"):
        Jib(tmp_path / "cache", registry(tmp_path)).build(order(tmp_path, TOKEN="hidden-1234"))

    assert "TOKEN=hidden-1234" in (log / "environment").read_text().splitlines()
    (log / "environment").unlink()
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"hidden-1234" in path.read_bytes() for path in left)
    assert log / "argv" in left

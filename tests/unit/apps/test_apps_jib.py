"""How Maven is called, and how a base gets below what Jib made."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.jib import (
    PLUGIN,
    PLUGIN_VERSION,
    Jib,
    Project,
    command,
    on_base,
    properties,
    stand_in,
)
from slipway.apps.registry import serve
from slipway.errors import SlipwayError
from slipway.oci.model import Descriptor, Manifest, machine_platform

JIB = "<plugin><artifactId>jib-maven-plugin</artifactId></plugin>"


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
    found = properties("r:1/app:x", Path("/d"), Path("/jib"), "r:1/base@sha256:0", local_base=True)
    assert found["jib.to.image"] == "r:1/app:x"
    assert found["jib.from.image"] == "r:1/base@sha256:0"
    assert found["jib.from.platforms"] == machine_platform()
    assert found["jib.from.auth.username"]
    assert found["jib.container.format"] == "OCI"
    assert found["jib.outputPaths.digest"] == "/d"
    assert found["jib.baseImageCache"] == "/jib/base"


def test_properties_for_a_base_in_a_registry_leave_its_credentials_alone() -> None:
    found = properties("r:1/app:x", Path("/d"), Path("/jib"), "java:21", local_base=False)
    assert found["jib.from.image"] == "java:21"
    assert not any(name.startswith("jib.from.auth") for name in found)


def test_properties_for_the_poms_own_base() -> None:
    found = properties("r:1/app:x", Path("/d"), Path("/jib"), None, local_base=False)
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
    with serve(tmp_path / "work", []) as registry, pytest.raises(SlipwayError) as caught:
        Jib(tmp_path, registry).build(tmp_path, {}, None, "web (main)", tmp_path)
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

    def maven(self: Jib, source: Path, argv: list[str], label: str) -> None:
        if next(turns) == 0:
            joined_by_others.append(others_began.wait(0.3))
        else:
            others_began.set()
            others.wait(10)

    monkeypatch.setattr(Jib, "_maven", maven)
    for name in "abc":
        project(tmp_path / name, {"pom.xml": "the same"})
    with serve(tmp_path / "work", []) as registry, ThreadPoolExecutor(3) as pool:
        jib = Jib(tmp_path / "cache", registry)
        builds = [pool.submit(jib._run, tmp_path / name, [], name) for name in "abc"]
        for build in builds:
            build.result()
    assert joined_by_others == [False]

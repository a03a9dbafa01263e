"""How docker buildx is called."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.apps.app import BuildxBuild
from slipway.apps.builders.buildx import Buildx, command
from slipway.apps.builders.order import Order
from slipway.architecture import Architecture
from slipway.bundle.download import Login
from slipway.cache.layout import CacheLayout


def test_least_call() -> None:
    assert command(["docker", "buildx"], "t:1", Path("/src"), BuildxBuild(), None, {}) == [
        "docker",
        "buildx",
        "build",
        "--load",
        "--progress=plain",
        "--provenance=false",
        "--tag=t:1",
        "--file=/src/Dockerfile",
        "/src",
    ]


def test_call_with_everything() -> None:
    build = BuildxBuild(dockerfile="docker/Run", target="run", args={"A": "1", "B": "x y"})
    call = command(["/opt/buildx"], "t:1", Path("/src"), build, "base:1", {"id": "VARIABLE"})
    assert call[:2] == ["/opt/buildx", "build"]
    assert call[6:] == [
        "--file=/src/docker/Run",
        "--build-arg=BASE_IMAGE=base:1",
        "--build-arg=A=1",
        "--build-arg=B=x y",
        "--secret=id=id,env=VARIABLE",
        "--target",
        "run",
        "/src",
    ]


def test_an_apps_own_base_argument_wins() -> None:
    build = BuildxBuild(args={"BASE_IMAGE": "mine"})
    call = command(["b"], "t:1", Path("/s"), build, "base:1", {})
    assert [part for part in call if "BASE_IMAGE" in part] == ["--build-arg=BASE_IMAGE=mine"]


BUILDX = """#!/bin/sh
printf '%s\\n' "$0" "$@" >> "$LOG/argv"
env > "$LOG/environment"
"""

DOCKER = """#!/bin/sh
[ "$2" != save ] || echo archive > "$4"
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Programs that note what they are told in ``log``; a checkout, and a scratch folder."""
    for name, text in {"docker": DOCKER, "docker-buildx": BUILDX}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    for folder in ("log", "checkout", "scratch"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "checkout", tmp_path / "scratch"


@pytest.mark.parametrize("architecture", [*Architecture])
def test_the_platform_is_asked_for_where_it_is_not_the_machine_s(
    architecture: Architecture, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    order = Order("web (main)", "web", folders[0], BuildxBuild(), None, {}, folders[1])
    buildx = Buildx(CacheLayout(tmp_path / "cache"), tmp_path / "bin" / "docker-buildx")
    buildx.build(replace(order, platform=architecture.platform))
    said = (tmp_path / "log" / "argv").read_text().splitlines()
    foreign = architecture is not Architecture.here()
    asked = [each for each in said if each.startswith("--platform")]
    assert asked == ([f"--platform={architecture.platform}"] if foreign else [])


def test_secrets_are_in_the_clients_environment_and_nowhere_else(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    secrets = {"npm": "hidden-1234"}
    order = Order("web (main)", "web", folders[0], BuildxBuild(), None, secrets, folders[1])

    archive = Buildx(CacheLayout(tmp_path / "cache"), tmp_path / "bin" / "docker-buildx").build(
        order
    )

    assert archive.read_text() == "archive\n"
    assert "--secret=id=npm,env=SLIPWAY_SECRET_0" in (tmp_path / "log" / "argv").read_text()
    environment = tmp_path / "log" / "environment"
    assert "SLIPWAY_SECRET_0=hidden-1234" in environment.read_text().splitlines()
    environment.unlink()
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"hidden-1234" in path.read_bytes() for path in left)


def test_who_the_user_is_to_registries_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "config.json").write_text('{"auths": {"own.test": {"auth": "b3du"}}}')
    for name, text in {
        "docker": DOCKER,
        "docker-buildx": '#!/bin/sh\ncat "$DOCKER_CONFIG/config.json" > "$LOG/config"\n',
    }.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    for folder in ("checkout", "scratch"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("LOG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "own"))
    logins = {"r.test": Login("me", "hidden-1234")}
    folders = tmp_path / "checkout", tmp_path / "scratch"
    order = Order("web (main)", "web", folders[0], BuildxBuild(), None, {}, folders[1])
    builder = Buildx(CacheLayout(tmp_path / "cache"), tmp_path / "bin" / "docker-buildx")
    builder.build(replace(order, logins=logins))
    auths = json.loads((tmp_path / "config").read_text())["auths"]
    assert b64decode(auths["r.test"]["auth"]) == b"me:hidden-1234"
    assert "own.test" not in auths


def test_dockers_own_plugin_where_the_bundle_has_none(tmp_path: Path) -> None:
    assert Buildx(CacheLayout(tmp_path), tmp_path / "nowhere")._buildx == ["docker", "buildx"]

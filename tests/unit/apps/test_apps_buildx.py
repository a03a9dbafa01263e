"""How docker buildx is called."""

from __future__ import annotations

from pathlib import Path

from slipway.apps.buildx import command


def test_least_call() -> None:
    assert command(["docker", "buildx"], "t:1", Path("/src"), {}, None) == [
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
    options = {"dockerfile": "docker/Run", "target": "run", "args": {"A": "1", "B": "x y"}}
    call = command(["/opt/buildx"], "t:1", Path("/src"), options, "base:1")
    assert call[:2] == ["/opt/buildx", "build"]
    assert call[6:] == [
        "--file=/src/docker/Run",
        "--build-arg=BASE_IMAGE=base:1",
        "--build-arg=A=1",
        "--build-arg=B=x y",
        "--target",
        "run",
        "/src",
    ]


def test_an_apps_own_base_argument_wins() -> None:
    call = command(["b"], "t:1", Path("/s"), {"args": {"BASE_IMAGE": "mine"}}, "base:1")
    assert [part for part in call if "BASE_IMAGE" in part] == ["--build-arg=BASE_IMAGE=mine"]

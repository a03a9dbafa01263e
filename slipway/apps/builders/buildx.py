"""Dockerfiles, built by this machine's Docker engine through docker buildx.

For users who may use Docker and are not root, and so cannot run a builder of their own.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.apps.app import BuildxBuild
from slipway.apps.builders.bases import StoredImage
from slipway.apps.builders.buildkit import (
    BASE_ARGUMENT,
    CACHE_ARGUMENT,
    refuse_foreign_frontend,
    secret_variables,
)
from slipway.apps.builders.logins import docker_config
from slipway.apps.builders.order import Order, context_of
from slipway.cache.layout import CacheLayout
from slipway.run import run

BUILD_SECONDS = 3600.0
ENGINE_SECONDS = 600.0


def command(
    buildx: Sequence[str],
    tag: str,
    context: Path,
    build: BuildxBuild,
    base: str | None,
    secrets: Mapping[str, str],
) -> list[str]:
    """The call of buildx that builds the folder ``context`` into the engine's image ``tag``.

    ``secrets`` has the environment variable of each secret id.
    """
    arguments = {**({BASE_ARGUMENT: base} if base else {}), **build.args}
    target = ["--target", build.target] if build.target else []
    return [
        *buildx,
        "build",
        "--load",
        "--progress=plain",
        "--provenance=false",
        f"--tag={tag}",
        f"--file={context / build.dockerfile}",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *(f"--secret=id={name},env={variable}" for name, variable in secrets.items()),
        *target,
        str(context),
    ]


class Buildx:
    """Builds Dockerfiles with the buildx binary ``program`` or, where there is none, docker's."""

    doing = "buildx"

    def __init__(self, cache: CacheLayout, program: Path) -> None:
        self._settings = {"BUILDX_CONFIG": str(cache.buildx)}
        self._buildx = [str(program)] if program.exists() else ["docker", "buildx"]
        self._loading = threading.Lock()

    def build(self, order: Order[BuildxBuild]) -> Path:
        """As Builder; the failure has buildx's last lines."""
        context = context_of(order)
        refuse_foreign_frontend(order, context / order.build.dockerfile)
        base = order.base
        if base and base.fetch:
            self._load(base.fetch(), order.scratch)
        tag = f"build.slipway.internal/new:{order.scratch.name}"
        variables = secret_variables(list(order.secrets))
        values = {variable: order.secrets[name] for name, variable in variables.items()}
        user = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
        with docker_config(order.logins, user) as config:
            run(
                [
                    *command(
                        self._buildx,
                        tag,
                        context,
                        order.build,
                        base.ref if base else None,
                        variables,
                    ),
                    f"--build-arg={CACHE_ARGUMENT}={order.repository}",
                    *([f"--platform={order.platform}"] if order.is_foreign else []),
                ],
                what=order.label,
                env={**self._settings, **values, **config},
                timeout=BUILD_SECONDS,
            )
        archive = order.scratch / "image.tar"
        try:
            _docker("image", "save", "--output", archive, tag, what=order.label)
        finally:
            # The builder's cache keeps the layers; the engine's list of images stays the user's.
            _docker("image", "rm", "--no-prune", tag, what=order.label)
        return archive

    def _load(self, base: StoredImage, scratch: Path) -> None:
        """Give the engine the base, unless it has an image of that name with the same layers."""
        ref = base.image.ref
        with self._loading:
            listed = _docker("image", "ls", "--quiet", "--no-trunc", ref, what=ref).split()
            if listed:
                layers = _docker(
                    "image", "inspect", "--format", "{{json .RootFS.Layers}}", ref, what=ref
                )
                if json.loads(layers) == base.config()["rootfs"]["diff_ids"]:
                    return
            archive = scratch / "base.tar"
            base.store.write_docker_archive(ref, archive)
            _docker("image", "load", "--quiet", "--input", archive, what=ref)


def _docker(*arguments: str | Path, what: str) -> str:
    return run(["docker", *arguments], what=what, timeout=ENGINE_SECONDS)

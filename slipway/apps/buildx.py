"""Dockerfiles, built by this machine's Docker engine through docker buildx."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slipway.apps.bases import Base, StoredImage
from slipway.errors import Problem, SlipwayError
from slipway.run import run

RECIPE = "buildx 1"
"""Changes whenever the same source would be built into another image."""

BASE_ARGUMENT = "BASE_IMAGE"
"""The build argument that holds the base image."""

BUILD_SECONDS = 3600.0
ENGINE_SECONDS = 600.0


def command(
    buildx: Sequence[str], tag: str, context: Path, options: Mapping[str, Any], base: str | None
) -> list[str]:
    """The call of buildx that builds the folder ``context`` into the engine's image ``tag``."""
    arguments = {**({BASE_ARGUMENT: base} if base else {}), **options.get("args", {})}
    target = ["--target", options["target"]] if "target" in options else []
    return [
        *buildx,
        "build",
        "--load",
        "--progress=plain",
        "--provenance=false",
        f"--tag={tag}",
        f"--file={context / options.get('dockerfile', 'Dockerfile')}",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *target,
        str(context),
    ]


class Buildx:
    """Builds Dockerfiles; ``program`` is a buildx binary, or empty for docker's own plugin."""

    doing = "buildx"

    def __init__(self, cache: Path, program: str) -> None:
        self._settings = {"BUILDX_CONFIG": str(cache / "buildx")}
        self._buildx = [program] if program else ["docker", "buildx"]
        self._loading = threading.Lock()

    def build(
        self, source: Path, options: Mapping[str, Any], base: Base | None, label: str, scratch: Path
    ) -> Path:
        """Build what is in ``source`` and return an image archive in ``scratch``.

        Raises SlipwayError with buildx's last lines.
        """
        # Git's own files differ from clone to clone and would spoil the builder's cache.
        shutil.rmtree(source / ".git")
        context = source / options.get("context", ".")
        if not context.is_dir():
            raise SlipwayError(Problem(label, f"has no folder {options['context']}"))
        if base and base.fetch:
            self._load(base.fetch(), scratch)
        tag = f"build.slipway.internal/new:{scratch.name}"
        run(
            command(self._buildx, tag, context, options, base.ref if base else None),
            what=label,
            env=self._settings,
            timeout=BUILD_SECONDS,
        )
        archive = scratch / "image.tar"
        try:
            _docker("image", "save", "--output", archive, tag, what=label)
        finally:
            # The builder's cache keeps the layers; the engine's list of images stays the user's.
            _docker("image", "rm", "--no-prune", tag, what=label)
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

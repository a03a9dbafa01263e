"""Image recipes: ``images/<name>/image.yml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from slipway.errors import Problem, SlipwayError
from slipway.oci import ImageConfig, Layer, layer_from_tar, layer_from_tree


@dataclass(frozen=True)
class Recipe:
    """What an image is made of.

    ``ref`` is the image's name; a recipe without it makes none. ``packages`` are Debian's,
    installed in mmdebstrap's ``variant``; ``tools`` are files of them that this machine is to have,
    each with its name in the bundle. ``binaries`` go from the compiled components, and ``files``
    from the recipe's own folder, to their places in the image. The rest is the image's
    configuration.
    """

    name: str
    folder: Path
    ref: str = ""
    variant: str = "extract"
    packages: Sequence[str] = ()
    binaries: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    ports: Sequence[int] = ()

    def layers(self, packages: Path | None, binaries: Mapping[str, Path]) -> list[Layer]:
        """The image's layers, what changes least first."""
        layers = [layer_from_tar(packages)] if packages else []
        if self.binaries:
            layers.append(
                layer_from_tree({place: binaries[name] for name, place in self.binaries.items()})
            )
        if self.files:
            layers.append(
                layer_from_tree({place: self.folder / name for name, place in self.files.items()})
            )
        return layers

    def config(self) -> ImageConfig:
        """The image's configuration."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ImageConfig(
            entrypoint=self.entrypoint,
            env={"PATH": path, **self.env},
            user=self.user,
            ports=tuple(self.ports),
        )


def _filled_in(value: Any, versions: Mapping[str, str]) -> Any:
    """``value`` with ``{name}`` in its texts replaced by the version of ``name``."""
    if isinstance(value, str):
        return value.format_map(versions)
    if isinstance(value, list):
        return [_filled_in(item, versions) for item in value]
    if isinstance(value, dict):
        return {key: _filled_in(item, versions) for key, item in value.items()}
    return value


def recipes(folder: Path, versions: Mapping[str, str]) -> list[Recipe]:
    """The recipes below ``folder``, sorted by name, with the lock's versions filled in.

    Raises SlipwayError with every key that recipes do not have and every unknown version.
    """
    known = {entry.name for entry in fields(Recipe)} - {"name", "folder"}
    found, problems = [], []
    for path in sorted(folder.glob("*/image.yml")):
        document = yaml.safe_load(path.read_text())
        for key in sorted(set(document) - known):
            problems.append(Problem(str(path), f"unknown key {key}", f"known: {sorted(known)}"))
        try:
            document = _filled_in(document, versions)
        except KeyError as error:
            problems.append(Problem(str(path), f"{error} is not in slipway_versions"))
        if not problems:
            found.append(Recipe(name=path.parent.name, folder=path.parent, **document))
    if problems:
        raise SlipwayError(problems)
    return found

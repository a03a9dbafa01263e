"""Image recipes: the table ``images/images.yml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from slipway.architecture import Architecture
from slipway.errors import Problem, SlipwayError
from slipway.oci import ImageConfig, Layer, layer_from_tar, layer_from_tree

TABLE = "images.yml"

EVERY, CONTROL_PLANE = "every", "control_plane"
"""Which nodes have an image."""

_ELSEWHERE = ("name", "folder", "nodes", "upstream")
"""What a recipe says that changes nothing of what is packed."""

_REQUESTED = ("over", "suite", "below")
"""What only those recipes say that are made when they are asked for."""


@dataclass(frozen=True)
class Recipe:
    """What an image is made of.

    ``ref`` is the image's reference; a recipe without it makes none. ``nodes`` says which nodes
    have it: EVERY, CONTROL_PLANE or, as with a base of other images, none. ``packages`` are
    Debian's, installed in mmdebstrap's ``variant``; ``tools`` are files of them that this machine
    is to have, each with its name in the bundle; ``portable`` are programs of them that nodes are
    to have with all that they load, each with its folder in the bundle. ``binaries`` go from the
    compiled components, and ``files``, seen from the table's ``folder``, to their places in the
    image. The rest is the image's configuration.

    An image of ``upstream`` is packed by nobody here: a bundle has it if it is published to it.

    An image ``over`` that of another recipe is none of the bundle's, but made when it is asked
    for. It has of its packages, those of the release ``suite``, what is ``below`` some folders.
    """

    name: str
    folder: Path
    ref: str = ""
    nodes: str = ""
    variant: str = "extract"
    packages: Sequence[str] = ()
    binaries: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    portable: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    ports: Sequence[int] = ()
    over: str = ""
    suite: str = ""
    below: Sequence[str] = ()
    upstream: bool = False

    @property
    def content(self) -> list[object]:
        """All that decides what is packed, but for what is in the packages and binaries."""
        left_out = _ELSEWHERE if self.over else _ELSEWHERE + _REQUESTED
        said = {key: value for key, value in asdict(self).items() if key not in left_out}
        return [said, *(self.folder / name for name in self.files)]

    def layers(self, packages: Path | None, binaries: Mapping[str, Path]) -> list[Layer]:
        """The image's layers, what changes least first."""
        layers = [layer_from_tar(packages, self.below)] if packages else []
        if self.binaries:
            layers.append(
                layer_from_tree({place: binaries[name] for name, place in self.binaries.items()})
            )
        if self.files:
            layers.append(
                layer_from_tree({place: self.folder / name for name, place in self.files.items()})
            )
        return layers

    def config(self, architecture: Architecture) -> ImageConfig:
        """The configuration of the image for an architecture."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ImageConfig(
            entrypoint=self.entrypoint,
            env={"PATH": path, **self.env},
            user=self.user,
            ports=tuple(self.ports),
            architecture=architecture.value,
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


def recipes(folder: Path, versions: Mapping[str, str], architecture: Architecture) -> list[Recipe]:
    """The recipes of the table in ``folder``, sorted by name, with the lock's versions filled in.

    They are those for an architecture, whose name is filled in as well. Raises SlipwayError with
    every key that recipes do not have and every unknown version.
    """
    known = {entry.name for entry in fields(Recipe)} - {"name", "folder"}
    found, problems = [], []
    for name, document in sorted(yaml.safe_load((folder / TABLE).read_text()).items()):
        where = f"{folder / TABLE} {name}"
        for key in sorted(set(document) - known):
            problems.append(Problem(where, f"unknown key {key}", f"known: {sorted(known)}"))
        if document.get("nodes", EVERY) not in (EVERY, CONTROL_PLANE):
            problems.append(Problem(where, "unknown nodes", f"write {EVERY} or {CONTROL_PLANE}"))
        try:
            filled = _filled_in(document, {**versions, "architecture": architecture.value})
        except KeyError as error:
            problems.append(Problem(where, f"{error} is not in slipway_versions"))
        if not problems:
            found.append(Recipe(name=name, folder=folder, **filled))
    if problems:
        raise SlipwayError(problems)
    return found

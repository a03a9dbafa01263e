"""The *source* provider: a bundle from Go modules and Debian packages alone."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from slipway.bundle import debian, go, manifest, parts
from slipway.bundle.go import Component, Toolchain
from slipway.bundle.keys import key_of
from slipway.bundle.parts import Part
from slipway.bundle.recipes import Recipe, recipes
from slipway.errors import Problem, SlipwayError
from slipway.oci import ImageStore, machine_platform

MANIFESTS = {"metallb": "config/manifests/metallb-native.yaml"}
"""Component -> the manifest that its own module carries."""


@dataclass(frozen=True)
class SourceProvider:
    """Compiles ``project``'s components and packs its images.

    ``project`` is the checkout, ``versions`` the lock and ``cache`` a directory that outlives
    both checkout and bundle: toolchain, compiler cache and finished parts are kept there.
    """

    project: Path
    versions: Mapping[str, str]
    cache: Path

    @cached_property
    def components(self) -> Sequence[Component]:
        """What is compiled."""
        return go.components(self.project / "bundle" / "go", self.versions)

    @cached_property
    def recipes(self) -> Sequence[Recipe]:
        """What is packed."""
        return recipes(self.project / "images", self.versions)

    @cached_property
    def key(self) -> str:
        """Covers all parts and all recipes."""
        inputs = [component.key for component in self.components]
        folders = [recipe.folder for recipe in self.recipes]
        return key_of(debian.RECIPE, dict(self.versions), machine_platform(), inputs, *folders)

    def fill(self, into: Path, say: Callable[[str], None]) -> Mapping[str, object]:
        """Make what is missing of the parts, then lay the bundle out from them."""
        toolchain = go.toolchain(self.versions["go"], self.cache, say)
        made = parts.make(self._parts(toolchain), self.cache / "bundle" / "parts", say)
        say("packing images")
        for component in self.components:
            for place in ("bin", "cni", "manifests"):
                _link_tree(made[component.name] / place, into / place)
        self._pack_images(made, into)
        packages = {
            recipe.name: (manifest.read(made[_packages_part(recipe)]) or {}).get("about")
            for recipe in self.recipes
            if recipe.packages
        }
        return {
            "provider": "source",
            "platform": machine_platform(),
            "versions": dict(self.versions),
            "packages": packages,
        }

    def _parts(self, toolchain: Toolchain) -> list[Part]:
        """Packages are fetched and unpacked beside the compiler; the longest part goes first."""
        compiled = [
            Part(
                name=component.name,
                key=component.key,
                lane="compile",
                make=partial(self._compile, toolchain, component),
            )
            for component in self.components
        ]
        unpacked = [
            Part(
                name=_packages_part(recipe),
                key=key_of(debian.RECIPE, self._suite, recipe.variant, list(recipe.packages)),
                lane="packages",
                make=partial(self._unpack, recipe),
            )
            for recipe in self.recipes
            if recipe.packages
        ]
        return [*compiled, *unpacked]

    @property
    def _suite(self) -> str:
        return self.versions["debian"]

    def _compile(
        self, toolchain: Toolchain, component: Component, into: Path
    ) -> Mapping[str, object]:
        toolchain.compile(component, into)
        if component.name in MANIFESTS:
            target = into / "manifests" / f"{component.name}.yaml"
            target.parent.mkdir()
            source = toolchain.module_folder(component) / MANIFESTS[component.name]
            target.write_bytes(source.read_bytes())
        return {"version": component.version}

    def _unpack(self, recipe: Recipe, into: Path) -> Mapping[str, object]:
        target = into / f"{recipe.name}.tar"
        return debian.make_rootfs(self._suite, recipe.variant, recipe.packages, target)

    def _pack_images(self, made: Mapping[str, Path], into: Path) -> None:
        binaries = {
            path.name: path
            for component in self.components
            for path in (made[component.name] / "image").glob("*")
        }
        store = ImageStore(into / "images")
        for recipe in self.recipes:
            packages = (
                made[_packages_part(recipe)] / f"{recipe.name}.tar" if recipe.packages else None
            )
            if packages is not None and recipe.tools:
                _extract(packages, recipe.tools, into / "tools")
            if recipe.ref:
                store.add_image(recipe.ref, recipe.layers(packages, binaries), recipe.config())


def _packages_part(recipe: Recipe) -> str:
    return f"packages-{recipe.name}"


def _extract(archive: Path, members: Mapping[str, str], into: Path) -> None:
    """Take executables out of a root file system, each under its new name."""
    into.mkdir(exist_ok=True)
    with tarfile.open(archive) as tar:
        for member, name in members.items():
            try:
                content = tar.extractfile(f"./{member}")
            except KeyError:
                content = None
            if content is None:
                raise SlipwayError(Problem(archive.stem, f"{member} is no file of its packages"))
            with (into / name).open("wb") as target:
                shutil.copyfileobj(content, target)
            (into / name).chmod(0o755)


def _link(source: Path, target: Path) -> None:
    """``source`` under another name; a copy where a hard link cannot be had."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _link_tree(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(exist_ok=True)
        for path in sorted(source.iterdir()):
            _link(path, target / path.name)

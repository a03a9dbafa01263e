"""The *source* provider: a bundle from Go modules and Debian packages alone."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from slipway.bundle import debian, debian_lock, go, manifest, parts
from slipway.bundle.go import Component, Toolchain
from slipway.bundle.keys import key_of
from slipway.bundle.parts import Part
from slipway.bundle.recipes import Recipe, recipes
from slipway.cache.layout import CacheLayout
from slipway.control_node import tools
from slipway.errors import Problem, SlipwayError
from slipway.files import link_or_copy
from slipway.oci import ImageStore, machine_platform

MANIFESTS = {"metallb": "config/manifests/metallb-native.yaml"}
"""Component -> the manifest that its own module carries."""

TOOLS = ("c_compiler", "git", "libseccomp", "mmdebstrap", "pkg_config", "uidmap")
"""What this machine has to have to make a bundle."""


@dataclass(frozen=True)
class SourceProvider:
    """Compiles ``project``'s components and packs its images.

    ``project`` is the checkout, ``versions`` the lock, and ``cache`` outlives both checkout and
    bundle: toolchain, compiler cache and finished parts are kept there. ``strict`` has it fail
    where Debian has other packages than the lock.
    """

    project: Path
    versions: Mapping[str, str]
    cache: CacheLayout
    strict: bool = False

    @property
    def tools(self) -> Sequence[str]:
        """What this machine has to have for it."""
        return TOOLS

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
        """Covers all parts."""
        return key_of(machine_platform(), dict(self.versions), [part.key for part in self._parts])

    def fill(self, into: Path, say: Callable[[str], None]) -> Mapping[str, object]:
        """Make what is missing of the parts, then lay the bundle out from them."""
        tools.have(TOOLS, say)
        made = parts.make(self._parts, self._store, say)
        for component in self.components:
            for place in ("bin", "cni", "manifests", "tools"):
                _link_tree(made[component.name] / place, into / place)
        store = ImageStore(into / "images")
        for recipe in self.recipes:
            packed = made[f"image-{recipe.name}"]
            for place in ("tools", *recipe.portable.values()):
                _link_tree(packed / place, into / place)
            store.adopt(ImageStore(packed / "images"))
        packages = {
            recipe.name: (manifest.read(made[f"packages-{recipe.name}"]) or {})["about"]
            for recipe in self.recipes
            if recipe.packages
        }
        self._compare(packages, say)
        return {
            "provider": "source",
            "platform": machine_platform(),
            "versions": dict(self.versions),
            "packages": packages,
            "parts": [part.folder for part in self._parts],
        }

    def _compare(self, packages: Mapping[str, Any], say: Callable[[str], None]) -> None:
        """Say what Debian has changed since the lock was written; if strict, raise SlipwayError."""
        found = [debian.of_record(record) for record in packages.values()]
        locked = debian_lock.read(self.lock_file)
        if changed := debian_lock.changes(found, locked, strict=self.strict):
            told = debian_lock.told(changed, self.lock_file)
            if self.strict:
                raise SlipwayError(Problem(str(self.lock_file), told, debian_lock.MEND))
            say(f"{told}; {debian_lock.MEND}")

    def to_make(self) -> list[Part]:
        """The parts of the bundle that are not there; those that are there are not read."""
        return [part for part in self._parts if not manifest.is_there(self._store / part.folder)]

    @property
    def _store(self) -> Path:
        return self.cache.bundle_parts

    @property
    def lock_file(self) -> Path:
        """The file with the packages that Debian's release had; there may be none."""
        return self.project / "images" / f"debian-{self.versions['debian']}.lock"

    @cached_property
    def _parts(self) -> list[Part]:
        """Beside the compiler, modules and packages are fetched and images packed."""
        suite = self.versions["debian"]
        lock = [self.lock_file] if self.lock_file.exists() else []
        modules = [
            Part(f"modules-{each.name}", each.key, "modules", partial(self._fetch, each))
            for each in self.components
        ]
        compiled = [
            Part(each.name, each.key, "compile", partial(self._compile, each), (modules_of.name,))
            for each, modules_of in zip(self.components, modules, strict=True)
        ]
        unpacked = [
            Part(
                name=f"packages-{recipe.name}",
                key=key_of(debian.RECIPE, suite, recipe.variant, list(recipe.packages), *lock),
                lane="packages",
                make=partial(self._unpack, recipe),
            )
            for recipe in self.recipes
            if recipe.packages
        ]
        made = {part.name: part for part in (*compiled, *unpacked)}
        # What needs no compiler can be packed while it runs.
        images = sorted(self.recipes, key=lambda recipe: bool(recipe.binaries))
        return [*modules, *made.values(), *(self._image_part(recipe, made) for recipe in images)]

    def _image_part(self, recipe: Recipe, made: Mapping[str, Part]) -> Part:
        makers = {
            place.removeprefix("image/"): component.name
            for component in self.components
            for place in component.binaries
        }
        needs = {makers[name] for name in recipe.binaries}
        if recipe.packages:
            needs.add(f"packages-{recipe.name}")
        ordered = sorted(needs)
        folders = {name: self._store / made[name].folder for name in ordered}
        return Part(
            name=f"image-{recipe.name}",
            key=key_of(*recipe.content, [made[name].key for name in ordered]),
            lane="pack",
            make=partial(_pack, recipe, folders),
            needs=tuple(ordered),
        )

    def _fetch(self, component: Component, into: Path) -> Mapping[str, object]:
        """Fill Go's own cache of modules; there is nothing to keep here but that it was done."""
        self.toolchain.fetch(component)
        return {"version": component.version}

    def _compile(self, component: Component, into: Path) -> Mapping[str, object]:
        self.toolchain.compile(component, into)
        if component.name in MANIFESTS:
            target = into / "manifests" / f"{component.name}.yaml"
            target.parent.mkdir()
            source = self.toolchain.module_folder(component) / MANIFESTS[component.name]
            target.write_bytes(source.read_bytes())
        return {"version": component.version}

    @cached_property
    def toolchain(self) -> Toolchain:
        """What compiles them; fetched where this machine has none that will do."""
        pins = self.project / "bundle" / "go" / "requirements.txt"
        return go.toolchain(self.versions["go"], self.cache, pins)

    def _unpack(self, recipe: Recipe, into: Path) -> Mapping[str, object]:
        found = self.unpack(recipe, into)
        debian_lock.refuse_forged(recipe.name, found, debian_lock.read(self.lock_file))
        return debian.as_record(found)

    def unpack(self, recipe: Recipe, into: Path) -> debian.Packages:
        """Write the root file system of a recipe's packages into a folder; return what is in it."""
        target = into / f"{recipe.name}.tar"
        suite = self.versions["debian"]
        keys = self.project / "images" / f"debian-{suite}.asc"
        return debian.make_rootfs(suite, recipe.variant, recipe.packages, target, keys)


def _pack(recipe: Recipe, made: Mapping[str, Path], into: Path) -> Mapping[str, object]:
    """Make the recipe's image and take out its programs; ``made`` are the parts that it needs."""
    packages = None
    if recipe.packages:
        packages = made[f"packages-{recipe.name}"] / f"{recipe.name}.tar"
        if recipe.tools:
            _extract(packages, recipe.tools, into / "tools")
        for program, folder in recipe.portable.items():
            debian.make_portable(packages, program, into / folder)
    binaries = {path.name: path for part in made.values() for path in (part / "image").glob("*")}
    if recipe.ref:
        layers = recipe.layers(packages, binaries)
        ImageStore(into / "images").add_image(recipe.ref, layers, recipe.config())
    return {"image": recipe.ref}


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


def _link_tree(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(exist_ok=True)
        for path in sorted(source.iterdir()):
            link_or_copy(path, target / path.name)

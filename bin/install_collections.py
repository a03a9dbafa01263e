"""Install the collections of requirements.yml into the folder that is given.

They come from Galaxy if it answers, else out of the Python package that carries all collections, of
which only these are unpacked. Either way the versions are those of requirements.yml.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

PROJECT = Path(__file__).resolve().parent.parent
WANTED = PROJECT / "requirements.yml"
CARRIER = PROJECT / "requirements-collections.txt"

GALAXY = os.environ.get("ANSIBLE_GALAXY_SERVER", "https://galaxy.ansible.com/")
SECONDS = 4
"""How long Galaxy is waited for."""


def galaxy_answers() -> bool:
    """Whether it is worth asking Galaxy: its own client tries again for long."""
    try:
        with urllib.request.urlopen(f"{GALAXY.rstrip('/')}/api/", timeout=SECONDS):
            return True
    except (OSError, ValueError):
        return False


def from_galaxy(folder: Path) -> bool:
    """Whether Galaxy gave the collections."""
    client = str(Path(sys.executable).with_name("ansible-galaxy"))
    argv = [client, "collection", "install", "--force", "--no-deps"]
    argv += ["--requirements-file", str(WANTED), "--collections-path", str(folder)]
    return subprocess.run(argv, check=False).returncode == 0


def from_carrier(folder: Path, names: list[str]) -> None:
    """Take the collections out of the wheel that carries them."""
    with TemporaryDirectory() as place:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        argv = [*pip, "download", "--no-deps", "--only-binary=:all:", "--dest", place]
        subprocess.run([*argv, "--requirement", CARRIER], check=True)
        (wheel,) = Path(place).glob("*.whl")
        inside = tuple(f"ansible_collections/{name.replace('.', '/')}/" for name in names)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [n for n in archive.namelist() if n.startswith(inside)])


def version(folder: Path, name: str) -> str:
    """The version of a collection that was installed."""
    manifest = folder / "ansible_collections" / name.replace(".", "/") / "MANIFEST.json"
    if not manifest.exists():
        return "in no version"
    return str(json.loads(manifest.read_text())["collection_info"]["version"])


def main(folder: Path) -> str | None:
    """Install; return what is wrong, if anything is."""
    wanted = {
        entry["name"]: entry["version"]
        for entry in yaml.safe_load(WANTED.read_text())["collections"]
    }
    shutil.rmtree(folder, ignore_errors=True)
    if not (galaxy_answers() and from_galaxy(folder)):
        from_carrier(folder, [*wanted])
    found = {name: version(folder, name) for name in wanted}
    others = [f"{name} {number}" for name, number in found.items() if number != wanted[name]]
    if others:
        return f"{CARRIER.name} has other collections than {WANTED.name} names: {', '.join(others)}"
    return None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

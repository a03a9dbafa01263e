"""Install the collections of requirements.yml into the folder that is given.

They come out of the zip of an archive, if one was taken out of it and has them; else from Galaxy if
it answers; else out of the Python package that carries all collections, of which only these are
unpacked. In each case the versions are those of requirements.yml, and all files are as
requirements-collections.sha256 has them: the hash of a manifest pins the list of files that it
names, and that the files. The carrier leaves some files out. With "lock", a version that has no
hash yet will do, so that "make lock" can write it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

PROJECT = Path(__file__).resolve().parent.parent
WANTED = PROJECT / "requirements.yml"
CARRIER = PROJECT / "requirements-collections.txt"
PINS = PROJECT / "requirements-collections.sha256"
"""The sha256 of the manifest of each collection."""

CARRIED = PROJECT / ".venv" / "carried" / "collections.zip"
"""What bin/carried_packages.py has taken out of an archive, if it has."""

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
        argv = [*pip, "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        subprocess.run([*argv, "--dest", place, "--requirement", CARRIER], check=True)
        (wheel,) = Path(place).glob("*.whl")
        from_zip(folder, names, wheel)


def from_zip(folder: Path, names: list[str], path: Path) -> None:
    """Take the collections out of a zip, which may have others."""
    inside = tuple(f"ansible_collections/{name.replace('.', '/')}/" for name in names)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder, [n for n in archive.namelist() if n.startswith(inside)])


def manifest_of(folder: Path, name: str) -> Path:
    """What a collection says of itself; it need not be there."""
    return folder / "ansible_collections" / name.replace(".", "/") / "MANIFEST.json"


def version(folder: Path, name: str) -> str:
    """The version of a collection that was installed."""
    manifest = manifest_of(folder, name)
    if not manifest.exists():
        return "in no version"
    return str(json.loads(manifest.read_text())["collection_info"]["version"])


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def changed(manifest: Path, pin: str) -> Iterator[str]:
    """The files of a collection that are not as it was published with this manifest."""
    root = manifest.parent
    if sha256_of(manifest) != pin:
        yield manifest.name
        return
    listed = json.loads(manifest.read_text())["file_manifest_file"]
    if sha256_of(root / listed["name"]) != listed["chksum_sha256"]:
        yield listed["name"]
        return
    files = json.loads((root / listed["name"]).read_text())["files"]
    sums = {each["name"]: each["chksum_sha256"] for each in files if each["ftype"] == "file"}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        is_listed = path.is_file() and path != manifest and name != listed["name"]
        if is_listed and sums.get(name) != sha256_of(path):
            yield name


def pins() -> dict[str, str]:
    """The sha256 of the manifest of each collection, by ``name:version``."""
    lines = (line.split() for line in PINS.read_text().splitlines() if not line.startswith("#"))
    return {name: sha256 for sha256, name in lines}


def wanted() -> dict[str, str]:
    """The collections and their versions."""
    document = yaml.safe_load(WANTED.read_text())
    return {each["name"]: each["version"] for each in document["collections"]}


def wrong(folder: Path, locking: bool) -> Iterator[str]:
    """What is wrong with the collections that were installed."""
    pinned = pins()
    for name, number in wanted().items():
        if (found := version(folder, name)) != number:
            yield f"{CARRIER.name} has other collections than {WANTED.name} names: {name} {found}"
        elif pin := pinned.get(f"{name}:{number}"):
            if files := [*changed(manifest_of(folder, name), pin)]:
                yield f"{name} {number} is not as {PINS.name} has it: {', '.join(files)}"
        elif not locking:
            yield f"{PINS.name} has no hash of {name} {number}: run make lock"


UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError)
UNLIKE = (LookupError, TypeError, AttributeError)
"""What a zip may end with that is none, and a manifest that is none."""


def from_archive(folder: Path, *, locking: bool) -> bool:
    """Whether the zip of an archive gave the collections of this checkout; says why if not."""
    if not CARRIED.is_file():
        return False
    why = "they are not those of this checkout"
    try:
        from_zip(folder, [*wanted()], CARRIED)
        if not any(wrong(folder, locking)):
            return True
    except UNREADABLE as error:
        why = " ".join(str(error).split())
    except UNLIKE:
        pass
    print(f"the collections of the archive are not used: {why}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    return False


def main(folder: Path, *, locking: bool = False) -> str | None:
    """Install; return what is wrong, if anything is."""
    shutil.rmtree(folder, ignore_errors=True)
    has_them = from_archive(folder, locking=locking) or (galaxy_answers() and from_galaxy(folder))
    if not has_them:
        from_carrier(folder, [*wanted()])
    return "\n".join(wrong(folder, locking)) or None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), locking="lock" in sys.argv[2:]))

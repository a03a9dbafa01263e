"""The first thing that any target of make does, with a Python and a pip of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.bundles import Maker
from tests.support.checkout import PROJECT

WHEEL = "tiny-1-py3-none-any.whl"
SOURCE = "tiny-1.tar.gz"

METADATA = "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n"
FILES = {
    "tiny.py": "",
    "tiny-1.dist-info/METADATA": METADATA,
    "tiny-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tiny-1.dist-info/RECORD": "",
}


@pytest.mark.parametrize("target", ["up", "doctor"])
def test_it_is_the_first_thing_that_targets_do(target: str) -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert planned.stdout.splitlines()[0] == "bin/bootstrap >&2"


class Checkout:
    """A checkout that needs one package, and an index that has it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "checkout"
        self.index = root / "index"
        self.index.mkdir()
        (self.root / "bin").mkdir(parents=True)
        shutil.copy(PROJECT / "bin" / "bootstrap", self.root / "bin")
        shutil.copy(PROJECT / "bin" / "carried_packages.py", self.root / "bin")
        (self.root / "bin" / "install_collections.py").touch()
        for path in PROJECT.glob("requirements*"):
            (self.root / path.name).touch()

    def wheel(self) -> str:
        """Have the package built; its sha256."""
        with zipfile.ZipFile(self.index / WHEEL, "w") as archive:
            for name, text in FILES.items():
                archive.writestr(name, text)
        return sha256((self.index / WHEEL).read_bytes()).hexdigest()

    def source(self) -> str:
        """Have the package to be built; its sha256."""
        folder = self.index.parent / "tiny-1"
        folder.mkdir()
        (folder / "setup.py").write_text("import setuptools; setuptools.setup(name='tiny')\n")
        (folder / "PKG-INFO").write_text(METADATA)
        with tarfile.open(self.index / SOURCE, "w:gz") as archive:
            archive.add(folder, folder.name)
        return sha256((self.index / SOURCE).read_bytes()).hexdigest()

    def bootstrap(self, requirement: str, **environment: str) -> tuple[int, str]:
        """The exit code and what was said, with a requirement."""
        (self.root / "requirements.txt").write_text(f"{requirement}\n")
        index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index)}
        done = subprocess.run(
            [self.root / "bin" / "bootstrap"],
            env={**os.environ, **index, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def has_it(self) -> bool:
        """Whether the package is in the environment."""
        return bool([*self.root.glob(".venv/lib/python*/site-packages/tiny.py")])


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_package_is_installed_that_has_its_hash(checkout: Checkout) -> None:
    digest = checkout.wheel()
    code, said = checkout.bootstrap(f"tiny==1 --hash=sha256:{'0' * 64} --hash=sha256:{digest}")
    assert code == 0, said
    assert checkout.has_it()


@pytest.mark.parametrize(
    ("given", "told"),
    [(f" --hash=sha256:{'0' * 64}", "DO NOT MATCH THE HASHES"), ("", "Hashes are required")],
)
def test_another_package_under_its_name_is_refused(
    checkout: Checkout, given: str, told: str
) -> None:
    checkout.wheel()
    code, said = checkout.bootstrap(f"tiny==1{given}")
    assert code != 0
    assert told in said
    assert not checkout.has_it()


def test_a_package_that_had_to_be_built_is_refused(checkout: Checkout) -> None:
    digest = checkout.source()
    code, said = checkout.bootstrap(f"tiny==1 --hash=sha256:{digest}")
    assert code != 0
    assert "No matching distribution found for tiny==1" in said


@pytest.mark.parametrize("has_it", ["the archive", "the index", "both"])
def test_an_archive_is_looked_into_before_an_index_is_asked(
    checkout: Checkout, tmp_path: Path, has_it: str
) -> None:
    digest = checkout.wheel()
    beside = {"licences/LICENSE": b"free"}
    if has_it != "the index":
        beside[f"python/{WHEEL}"] = (checkout.index / WHEEL).read_bytes()
    if has_it == "the archive":
        (checkout.index / WHEEL).unlink()
    archive = Maker(tmp_path / "made")(beside=beside)
    code, said = checkout.bootstrap(
        f"tiny==1 --hash=sha256:{digest}", SLIPWAY_BUNDLE=f"/nowhere, {archive}"
    )
    assert code == 0, said
    assert checkout.has_it()
    assert not (checkout.root / ".venv" / "carried").exists()
    assert ("no packages of Python's are taken out of" in said) == (has_it == "the index")


def test_what_an_archive_has_under_a_packages_name_has_to_have_its_hash(
    checkout: Checkout, tmp_path: Path
) -> None:
    checkout.wheel()
    archive = Maker(tmp_path / "made")(beside={f"python/{WHEEL}": b"something else"})
    code, said = checkout.bootstrap(
        f"tiny==1 --hash=sha256:{'0' * 64}", SLIPWAY_BUNDLE=str(archive)
    )
    assert code != 0
    assert "DO NOT MATCH THE HASHES" in said
    assert not checkout.has_it()

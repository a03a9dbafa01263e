"""What Slipway runs on goes along with a bundle, for each Python that may be there."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from slipway.architecture import Architecture
from slipway.bundle import environment
from slipway.errors import Problem, SlipwayError


class Pip:
    """Stands for pip: brings a wheel for each Python, but for that which ``lacks`` one."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.lacks = ""

    def __call__(self, argv: Sequence[str], *, what: str) -> str:
        self.calls.append([*argv])
        version, target = (argv[argv.index(name) + 1] for name in ("--python-version", "--dest"))
        if version == self.lacks:
            raise SlipwayError(Problem(what, "no matching distribution"))
        Path(target, f"x-{version}.whl").write_text("a wheel")
        return ""


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    made = Pip()
    monkeypatch.setattr(environment, "run", made)
    return made


def collected(root: Path, architecture: Architecture = Architecture.AMD64) -> tuple[Path, Any]:
    """The folder beside a bundle of a checkout with one collection, and what is said."""
    own = root / "project/.venv/collections/ansible_collections/slip/way"
    own.mkdir(parents=True, exist_ok=True)
    (own / "MANIFEST.json").write_text("{}")
    beside, said = root / "beside", list[str]()
    beside.mkdir()
    environment.collect(root / "project", root / "bundle", architecture, beside, said.append)
    return beside / "python", said


def test_packages_go_along_for_each_python_with_their_hashes_checked(
    tmp_path: Path, pip: Pip
) -> None:
    folder, _ = collected(tmp_path)
    wheels = sorted(path.name for path in folder.glob("*.whl"))
    assert wheels == ["x-3.11.whl", "x-3.12.whl", "x-3.13.whl"]
    for call in pip.calls:
        assert {"--require-hashes", "--no-deps"} < {*call}
        assert call[call.index("--only-binary") + 1] == ":all:"


@pytest.mark.parametrize("architecture", [*Architecture])
def test_they_are_for_the_machines_that_the_bundle_is_for(
    tmp_path: Path, pip: Pip, architecture: Architecture
) -> None:
    collected(tmp_path, architecture)
    named = [each for each in pip.calls[0] if each.startswith("manylinux_2_")]
    assert named
    assert all(each.endswith(architecture.machine) for each in named)


def test_the_collections_of_the_environment_go_along_the_same_each_time(
    tmp_path: Path, pip: Pip
) -> None:
    first, _ = collected(tmp_path)
    with zipfile.ZipFile(first / "collections.zip") as archive:
        assert archive.namelist() == ["ansible_collections/slip/way/MANIFEST.json"]
    content = (first / "collections.zip").read_bytes()
    first.parent.rename(tmp_path / "before")
    second, _ = collected(tmp_path)
    assert (second / "collections.zip").read_bytes() == content


def test_where_one_is_missing_none_goes_along_and_that_is_said(tmp_path: Path, pip: Pip) -> None:
    pip.lacks = "3.12"
    folder, said = collected(tmp_path)
    assert [*folder.iterdir()] == []
    assert "no matching distribution" in said[-1]


def test_a_bundle_that_came_with_them_keeps_its_own(tmp_path: Path, pip: Pip) -> None:
    (tmp_path / "bundle" / "python").mkdir(parents=True)
    folder, _ = collected(tmp_path)
    assert not folder.exists()
    assert pip.calls == []


def test_the_pythons_are_those_that_the_bootstrap_looks_for() -> None:
    project = Path(environment.__file__).parents[2]
    [line] = [
        line
        for line in (project / "bin" / "bootstrap").read_text().splitlines()
        if line.lstrip().startswith("for python in ")
    ]
    named = {word.strip(";").removeprefix("python") for word in line.split()[3:-1]}
    assert named - {"3"} == {*environment.PYTHONS}

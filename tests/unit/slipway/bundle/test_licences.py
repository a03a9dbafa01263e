"""Licences: of packages, of modules and of Go, each where one looks for it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from slipway.bundle import licences, manifest
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from tests.support.bundles import bundle, silent

MACHINE, GONE = "packages-machine-0123", "packages-gone-0123"

OF_MACHINE = {
    "./usr/share/doc/bash/copyright": b"GPL-3+",
    "./usr/share/doc/bash/README": b"not that",
    "./usr/share/common-licenses/GPL-3": b"GNU GENERAL PUBLIC LICENSE",
    "./usr/bin/bash": b"program",
}


def packages(archive: Path) -> None:
    """A root file system of Debian's packages; one has its documents from another."""
    with tarfile.open(archive, "w") as tar:
        for name, content in OF_MACHINE.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("./usr/share/doc/libx/copyright")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)


@pytest.fixture
def provider(tmp_path: Path) -> SourceProvider:
    """A source of one component, whose modules and packages are at hand."""
    cache = CacheLayout(tmp_path / "cache")
    part = cache.bundle_parts / MACHINE
    part.mkdir(parents=True)
    packages(part / "machine.tar")
    manifest.write(part, {})
    module, root = tmp_path / "mod" / "x@v1.0.0", tmp_path / "go"
    for folder, names in ((module, ["LICENSE", "NOTICE.txt", "main.go"]), (root, ["LICENSE"])):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(f"{name} of {folder.name}")
    (module / "licenses").mkdir()
    modules = {"tool": {"example.com/x@v1.0.0": module}}
    toolchain = SimpleNamespace(modules=lambda component: modules[component.name], root=root)
    components = [SimpleNamespace(name=name) for name in ("tool", "taken")]
    (tmp_path / "LICENSE").write_text("Apache License")
    known = {"project": tmp_path, "cache": cache, "toolchain": toolchain, "components": components}
    return cast(SourceProvider, SimpleNamespace(**known))


def test_they_are_gathered_by_what_they_are_of(provider: SourceProvider, tmp_path: Path) -> None:
    made, said = bundle(tmp_path / "bundle", parts=[MACHINE, GONE, "tool-0123"]), list[str]()
    licences.collect(provider, made, tmp_path / "beside", said.append)
    folder = tmp_path / "beside" / "licences"
    found = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == {
        "debian/bash/copyright": "GPL-3+",
        "debian/common-licenses/GPL-3": "GNU GENERAL PUBLIC LICENSE",
        "go/example.com/x@v1.0.0/LICENSE": "LICENSE of x@v1.0.0",
        "go/example.com/x@v1.0.0/NOTICE.txt": "NOTICE.txt of x@v1.0.0",
        "go/std/LICENSE": "LICENSE of go",
        "slipway/LICENSE": "Apache License",
    }
    assert said[1:] == [
        f"without the licences of {GONE}, which is not in the cache any more",
        "without the licences of taken, which upstream published",
    ]


def test_a_bundle_that_came_with_them_keeps_them(provider: SourceProvider, tmp_path: Path) -> None:
    made = bundle(tmp_path / "bundle")
    (made / "licences").mkdir()
    licences.collect(provider, made, tmp_path / "beside", silent)
    assert not (tmp_path / "beside").exists()

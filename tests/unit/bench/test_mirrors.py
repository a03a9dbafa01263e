"""The mirror of the benchmark has what upstream has, of what is in a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import mirrors
from slipway.bundle import parts, upstream_lock
from slipway.bundle.parts import DOWNLOAD
from slipway.bundle.source import places_of
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.upstreams import REF, Project, upstream

PROGRAMS = {"bin/tool": b"a tool", "cni/bridge": b"a bridge", "cni/host-local": b"addresses"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle from source of what a project's upstream publishes."""
    folder = tmp_path / "bundle"
    for name, content in PROGRAMS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    store = ImageStore(folder / "images")
    store.add_image(REF, [layer_from_tree({"/server": b"a server"})], ImageConfig())
    return folder


def test_what_is_in_a_bundle_comes_by_upstreams_addresses(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with upstream() as unasked:
        project = Project(tmp_path / "project", unasked)
        project.lock["files"]["server"] = [
            {**project.lock["files"]["tool"][0], "place": "image/server"}
        ]
        source = project.source()
        lock = upstream_lock.read(
            source.project / "bundle" / "upstream.yml",
            {each.name: places_of(each) for each in source.components},
            source.versions,
        )
        mirror = mirrors.Mirror(tmp_path / "mirror")
        mirror.folder.mkdir()
        project.lock = mirrors.filled(mirror, lock, source, bundle)
        with mirrors.served(mirror, tmp_path, "localhost") as port:
            certificate = str(tmp_path / "server.crt")
            here = {"url": f"https://localhost:{port}", "ca": certificate}
            project.mirrors = {"dl.test": here, "registry.test": here}
            provider = project.provider()
            wanted = [part for part in provider.parts if part.lane == DOWNLOAD]
            made = parts.make(wanted, provider.cache.bundle_parts, project.said.append)
    came = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for folder in made.values()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert {name: came.get(name) for name in PROGRAMS} == PROGRAMS
    [store] = [ImageStore(folder / "images") for folder in made.values() if "server" in folder.name]
    assert store.images()[REF].layers == ImageStore(bundle / "images").images()[REF].layers
    assert unasked.asked == []

"""An image for each kind of node, by the bundle's BuildKit: one kind runs here, one by QEMU."""

from __future__ import annotations

import subprocess
from pathlib import Path

from slipway.apps.app import Built
from slipway.apps.builders.build import Settings, build_images
from slipway.apps.source.git import Mirror
from slipway.architecture import Architecture
from slipway.cache.layout import CacheLayout
from slipway.control_node import emulation
from slipway.oci import ImageStore
from tests.support.apps import sourced
from tests.support.git_samples import commit, git
from tests.support.real_bundle import real_bundle

OWN = Architecture.here()
(OTHER,) = {*Architecture} - {OWN}

DOCKERFILE = """FROM scratch
ARG TARGETARCH
COPY program-${TARGETARCH} /program
RUN ["/program"]
"""


def test_a_dockerfile_becomes_an_image_for_each_kind_of_node_that_runs_on_it(
    tmp_path: Path,
) -> None:
    repository, cache = tmp_path / "web", CacheLayout(tmp_path / "cache")
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    for kind in Architecture:
        program = repository / f"program-{kind}"
        program.write_bytes(emulation.program(kind))
        program.chmod(0o755)
    head = commit(repository, {"Dockerfile": DOCKERFILE})
    mirror = Mirror(str(repository), cache.root)
    mirror.fetch(["main"])
    app = sourced(
        "web",
        git_url=str(repository),
        commit=head,
        tree=git(repository, "rev-parse", "HEAD:"),
        checkout=str(mirror.lay_out(head)),
    )
    said: list[str] = []
    nodes, bundles = {"a": OWN, "b": OTHER}, {OTHER: tmp_path / "other-bundle"}
    settings = Settings(cache.root, real_bundle(), {}, nodes=nodes, bundles=bundles)
    [made] = build_images([app], settings, check=False, say=said.append).apps
    assert isinstance(made, Built), said
    assert made.node_selector == {}
    for kind in Architecture:
        store = ImageStore(cache.images_of(kind))
        [image] = store.require([made.image])
        assert image.platform == kind.platform
        root = tmp_path / kind
        with store.open_layer(image.layers[0]) as tar:
            tar.extractall(root, filter="tar")
        assert (root / "program").read_bytes() == emulation.program(kind)
        subprocess.run(["chroot", root, "/program"], check=True)

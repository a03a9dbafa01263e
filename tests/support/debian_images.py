"""Images of Debian's packages, which stand for official ones where Docker Hub is not reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.architecture import Architecture
from slipway.bundle import debian
from slipway.bundle.keys import key_of
from slipway.oci import ImageConfig, ImageStore, TreeEntry, layer_from_tar, layer_from_tree
from tests.support import registries, shelves
from tests.support.checkout import PROJECT, VERSIONS
from tests.support.scenario import Scenario

SYSTEM = ("base-files", "dash")
"""What programs of packages are run with: the folders of a system, and a shell."""

PATH = "/usr/local/bin:/usr/bin:/bin"


def push(
    scenario: Scenario,
    registry: str,
    name: str,
    packages: Sequence[str],
    files: Mapping[str, TreeEntry],
) -> None:
    """Have an image in a registry, by its name and tag: packages, what they need, and files.

    What is of Debian is fetched once, and stays in the cache.
    """
    wanted = [*SYSTEM, *packages]
    key = key_of(debian.RECIPE, VERSIONS["debian"], wanted)
    store = ImageStore(scenario.cache / f"stand-in-{key[:16]}")
    below, own, ref = (f"docker.io/{name.replace(':', f'{part}:')}" for part in ("-s", "-o", ""))
    config = ImageConfig(env={"PATH": PATH})
    if store.get(below) is None:
        with TemporaryDirectory() as folder:
            rootfs = Path(folder) / "rootfs.tar"
            keys = PROJECT / "images" / f"debian-{VERSIONS['debian']}.asc"
            archive = debian.Archive(VERSIONS["debian"], Architecture.here(), keys)
            debian.make_rootfs(archive, "extract", wanted, rootfs)
            store.add_image(below, [layer_from_tar(rootfs)], config)
    store.add_image(own, [layer_from_tree(files)], config)
    store.add_stacked(ref, [(store, each) for each in store.require([below, own])], config)
    repository, _, tag = name.partition(":")
    registries.push(f"http://{registry}", repository, *shelves.layout_of(store, ref), tag=tag)

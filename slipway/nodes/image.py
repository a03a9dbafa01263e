"""The engine's image for container nodes: a machine with the bundle on it already.

What the roles would copy and load is in place, so they find nothing to do and a node costs
seconds. Machines that are not containers get the same things by the same roles.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import docker
from docker.errors import ImageNotFound
from docker.models.containers import Container

from slipway.bundle.keys import key_of
from slipway.errors import Problem, SlipwayError
from slipway.interrupts import also_when_ended, undivided
from slipway.nodes.placed import INSTALLED, record_of
from slipway.oci import ImageStore
from slipway.on_node.shared import RECORD
from slipway.run import last_lines
from slipway.waiting import allowed, wait_until

REPOSITORY = "slipway-node"
"""Name of the node images in the engine; the tag is a key of what is in them."""

CARRIED = "bundle.slipway.internal/preloaded"
"""Name of the node image in the store of a bundle that brings it; the tag is a key too."""

RECIPE = 5
"""Raised when the way of making them changes."""

CONTAINERD = "/var/lib/containerd"

BROUGHT = "node"
"""Folder of a bundle in which that store is."""

LOADED = "/usr/share/slipway/containerd"
"""Where the image keeps what containerd never changes: blobs and unpacked layers."""

ARRANGE = f"""
set -eu
mkdir --parents {LOADED}
cp --archive /seed/. {LOADED}
cd {LOADED}
blobs=io.containerd.content.v1.content/blobs/sha256
snapshots=io.containerd.snapshotter.v1.overlayfs/snapshots
mkdir --parents "{CONTAINERD}/$blobs" "{CONTAINERD}/$snapshots"
for place in "$blobs"/* "$snapshots"/*; do
    ln --symbolic "{LOADED}/$place" "{CONTAINERD}/$place"
done
for changes in io.containerd.metadata.v1.bolt io.containerd.snapshotter.v1.overlayfs/*.db; do
    cp --archive "$changes" "{CONTAINERD}/$changes"
done
"""
"""Lays containerd's directory out. All of it is copied to each node's volume when the node is made,
so it has only what containerd changes, and links to the rest."""

START_SECONDS = 30.0
"""How long containerd may take to answer while images are loaded into it."""


def bare(
    client: docker.DockerClient, bundle: Path, machine: str, say: Callable[[str], None]
) -> str:
    """The engine's id of the bundle's image of a machine with nothing of the bundle on it.

    By its name, the engine may have that of another bundle.
    """
    return _loaded(client, ImageStore(bundle / "images"), machine, say)


def _loaded(
    client: docker.DockerClient, store: ImageStore, ref: str, say: Callable[[str], None]
) -> str:
    """The engine's id of an image of a store, loaded if the engine has none."""
    (image,) = store.require([ref])
    try:
        return str(client.images.get(image.config_digest).id)
    except ImageNotFound:
        say(f"loading {ref}")
        with tempfile.NamedTemporaryFile(dir=store.root.parents[1], suffix=".tar") as archive:
            store.write_docker_archive(ref, Path(archive.name))
            with Path(archive.name).open("rb") as stream:
                (loaded,) = client.images.load(stream)
        return str(loaded.id)


def preloaded(
    client: docker.DockerClient,
    bundle: Path,
    machine: str,
    say: Callable[[str], None],
    refs: Sequence[str],
) -> str:
    """The name of the node image for ``bundle``, loaded or made if the engine has none.

    ``machine`` is the bundle's image of a bare machine, ``refs`` are those that nodes have. Raises
    SlipwayError when images cannot be loaded into it.
    """
    tag = key_of(RECIPE, bundle.name, sorted(refs))[:16]
    name = f"{REPOSITORY}:{tag}"
    try:
        client.images.get(name)
        return name
    except ImageNotFound:
        pass
    if brought := _brought(bundle, refs):
        client.images.get(_loaded(client, *brought, say)).tag(REPOSITORY, tag)
        _remove_others(client, name)
        return name
    say(f"making the node image {name} (once for each bundle)")
    base = bare(client, bundle, machine, say)
    store = ImageStore(bundle / "images")
    with (
        tempfile.TemporaryDirectory(dir=bundle.parent) as folder,
        _volume(client) as seed,
    ):
        scratch = Path(folder)
        (scratch / "record").write_text(record_of(_files(bundle)), encoding="utf-8")
        with tarfile.open(scratch / "files.tar", "w") as files:
            for target, path in {**_files(bundle), RECORD: scratch / "record"}.items():
                files.add(path, target)
        with (scratch / "images.tar").open("wb") as images:
            store.write_archive(refs, images)
        say("loading the bundle's images into it")
        _fill(client, base, scratch, seed)
        say("putting it together")
        arrange = ["sh", "-c", ARRANGE]
        with _installed(client, base, scratch, arrange, {seed: "/seed"}) as node:
            node.start()
            if node.wait()["StatusCode"] != 0:
                said = last_lines(node.logs().decode(errors="replace"))
                raise SlipwayError(Problem("node image", f"cannot be put together\n{said}"))
            entrypoint = client.images.get(base).attrs["Config"]["Entrypoint"]
            node.commit(REPOSITORY, tag, conf={"Entrypoint": entrypoint})
    _remove_others(client, name)
    return name


def carry(
    client: docker.DockerClient,
    bundle: Path,
    machine: str,
    say: Callable[[str], None],
    refs: Sequence[str],
    beside: Path,
) -> None:
    """Put the node image for ``bundle`` into a store in ``beside``, unless the bundle brings it."""
    if _brought(bundle, refs):
        return
    name = preloaded(client, bundle, machine, say, refs)
    say(f"taking {name} along")
    with tempfile.NamedTemporaryFile(dir=beside.parent, suffix=".tar") as archive:
        for chunk in client.images.get(name).save(named=True):
            archive.write(chunk)
        archive.flush()
        ImageStore(beside / BROUGHT).add_archive(Path(archive.name), _carried(refs))


def _brought(bundle: Path, refs: Sequence[str]) -> tuple[ImageStore, str] | None:
    """The store that has the node image, and its name there, if the bundle brings it."""
    store, ref = ImageStore(bundle / BROUGHT), _carried(refs)
    return (store, ref) if store.get(ref) else None


def _carried(refs: Sequence[str]) -> str:
    """The name of a node image where it is beside the bundle that it was made of."""
    return f"{CARRIED}:{key_of(RECIPE, sorted(refs))[:16]}"


def _files(bundle: Path) -> dict[str, Path]:
    """The bundle's files by their paths on a node."""
    return {
        f"{target}/{path.name}": path
        for source, target in INSTALLED.items()
        for path in sorted((bundle / source).iterdir())
    }


def _remove_others(client: docker.DockerClient, name: str) -> None:
    """Remove the node images of earlier bundles that no node is made of."""
    used = {container.image.id for container in client.containers.list(all=True)}
    for image in client.images.list(REPOSITORY):
        if image.id not in used and name not in image.tags:
            for tag in image.tags:  # the last of which takes it along
                client.images.remove(tag)


@contextmanager
def _volume(client: docker.DockerClient) -> Iterator[str]:
    """A volume for as long as it is needed; containerd's overlay can lie on nothing else here."""
    with ExitStack() as made:
        with undivided():
            volume = client.volumes.create()
            made.enter_context(also_when_ended(volume.remove))
        yield volume.name


@contextmanager
def _installed(
    client: docker.DockerClient,
    machine: str,
    scratch: Path,
    command: Sequence[str],
    volumes: Mapping[str, str],
) -> Iterator[Container]:
    """A machine with the bundle's files that runs ``command`` once it is started."""
    with ExitStack() as made:
        with undivided():
            container = client.containers.create(
                machine,
                entrypoint=list(command),
                cap_add=["SYS_ADMIN"],
                security_opt=["seccomp=unconfined", "apparmor=unconfined"],
                tmpfs={"/run": ""},
                volumes=[f"{name}:{place}" for name, place in volumes.items()],
            )
            made.enter_context(also_when_ended(partial(container.remove, v=True, force=True)))
        with (scratch / "files.tar").open("rb") as files:
            container.put_archive("/", files)
        yield container


def _fill(client: docker.DockerClient, machine: str, scratch: Path, seed: str) -> None:
    """Have containerd load the archive of images into the volume ``seed``."""
    ctr = ["ctr", "--namespace=k8s.io"]
    places = {seed: CONTAINERD, str(scratch): "/scratch"}
    with _installed(client, machine, scratch, ["/usr/local/bin/containerd"], places) as node:
        node.start()
        seconds = allowed(START_SECONDS)
        if not wait_until(lambda: node.exec_run([*ctr, "version"]).exit_code == 0, seconds):
            said = last_lines(node.logs().decode(errors="replace"))
            raise SlipwayError(Problem("containerd", f"does not answer; it last said\n{said}"))
        pinned = "--label=io.cri-containerd.pinned=pinned"
        done = node.exec_run([*ctr, "images", "import", "--local", pinned, "/scratch/images.tar"])
        if done.exit_code != 0:
            said = last_lines(done.output.decode(errors="replace"))
            raise SlipwayError(Problem("node image", f"images cannot be loaded\n{said}"))
        node.stop()

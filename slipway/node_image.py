"""The engine's image for container nodes: a machine with the bundle on it already.

What the roles would copy and load is in place, so they find nothing to do and a node costs
seconds. Machines that are not containers get the same things by the same roles.
"""

from __future__ import annotations

import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import ImageNotFound
from docker.models.containers import Container

from slipway.bundle.keys import key_of
from slipway.errors import Problem, SlipwayError
from slipway.oci import ImageStore
from slipway.run import last_lines

REPOSITORY = "slipway-node"
"""Name of the node images in the engine; the tag is a key of what is in them."""

RECIPE = 1
"""Raised when the way of making them changes."""

INSTALLED = {"bin": "/usr/local/bin", "cni": "/opt/cni/bin"}
"""Directory of the bundle -> directory of a node."""

CONTAINERD = "/var/lib/containerd"

START_SECONDS = 30.0
"""How long containerd may take to answer while images are loaded into it."""


def bare(
    client: docker.DockerClient, bundle: Path, machine: str, say: Callable[[str], None]
) -> str:
    """The engine's name for the bundle's image of a machine with nothing of the bundle on it."""
    try:
        client.images.get(machine)
    except ImageNotFound:
        say(f"loading {machine}")
        with tempfile.NamedTemporaryFile(dir=bundle.parent, suffix=".tar") as archive:
            ImageStore(bundle / "images").write_docker_archive(machine, Path(archive.name))
            with Path(archive.name).open("rb") as stream:
                client.images.load(stream)
    return machine


def preloaded(
    client: docker.DockerClient, bundle: Path, machine: str, say: Callable[[str], None]
) -> str:
    """The name of the node image for ``bundle``, made if the engine has none.

    ``machine`` is the bundle's image of a bare machine. Raises SlipwayError when images cannot
    be loaded into it.
    """
    tag = key_of(RECIPE, bundle.name)[:16]
    name = f"{REPOSITORY}:{tag}"
    try:
        client.images.get(name)
        return name
    except ImageNotFound:
        say(f"making the node image {name} (once for each bundle)")
    bare(client, bundle, machine, say)
    store = ImageStore(bundle / "images")
    with tempfile.TemporaryDirectory(dir=bundle.parent) as scratch:
        archive = Path(scratch) / "archive.tar"
        with tarfile.open(archive, "w") as files:
            for source, target in INSTALLED.items():
                for path in sorted((bundle / source).iterdir()):
                    files.add(path, f"{target}/{path.name}")
        with _created(client, machine) as node:
            with archive.open("rb") as stream:
                node.put_archive("/", stream)
            installed = node.commit()
        images = [ref for ref in store.images() if ref != machine]
        with archive.open("wb") as packed:
            store.write_archive(images, packed)
        with _created(client, installed.id) as node:
            node.put_archive("/var/lib", _containerd_with(client, installed.id, Path(scratch)))
            node.commit(REPOSITORY, tag)
    return name


@contextmanager
def _created(client: docker.DockerClient, image: str) -> Iterator[Container]:
    """A container that never runs, to change files in."""
    container = client.containers.create(image)
    try:
        yield container
    finally:
        container.remove(v=True)


def _containerd_with(client: docker.DockerClient, image: str, scratch: Path) -> Iterator[bytes]:
    """A tar stream of containerd's directory, the images of ``archive.tar`` loaded into it."""
    # containerd's overlay cannot lie on the engine's own, but on a volume it can.
    container = client.containers.run(
        image,
        entrypoint=["/usr/local/bin/containerd"],
        detach=True,
        cap_add=["SYS_ADMIN"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        tmpfs={"/run": ""},
        volumes=[CONTAINERD, f"{scratch}:/scratch:ro"],
    )
    try:
        ctr = ["ctr", "--namespace=k8s.io"]
        deadline = time.monotonic() + START_SECONDS
        while container.exec_run([*ctr, "version"]).exit_code != 0:
            if time.monotonic() > deadline:
                said = last_lines(container.logs().decode(errors="replace"))
                raise SlipwayError(Problem("containerd", f"does not answer; it last said\n{said}"))
            time.sleep(0.1)
        label = "--label=io.cri-containerd.pinned=pinned"
        done = container.exec_run([*ctr, "images", "import", label, "/scratch/archive.tar"])
        if done.exit_code != 0:
            said = last_lines(done.output.decode(errors="replace"))
            raise SlipwayError(Problem("node image", f"images cannot be loaded\n{said}"))
        container.stop()
        stream, _about = container.get_archive(CONTAINERD)
        yield from stream
    finally:
        container.remove(v=True, force=True)

"""How an image with one changed layer reaches nodes, and how else it could.

Three ways bring the same kind of change to 1, 2 and 4 nodes that have the version before it. The
clock runs from the image's lying in the controller's store to its being complete on every node:

* Slipway: the step ``load`` of the apps, the part of ``make up`` between build and deployment.
* registry: pushed with skopeo to Debian's docker-registry on this machine, pulled with ``ctr`` by
  all nodes at once.
* whole archive: imported on all nodes at once with the command that kind uses. That the archive
  has to be written first (kind calls ``docker save``) is not counted.

The first two are measured as a playbook's tasks, which is what a user waits for, and as they are
without Ansible around them: the loader, and the two commands.

Bytes of content are what Slipway's loader reports to have sent, what the registry's log says that
it answered with, and the archive's size. Bytes on the wire are, for Slipway, all that is sent to
the container engine, which is how its nodes are reached, and for the registry, all that the nodes'
network interfaces receive.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from docker.models.containers import Container

from bench.figures import Figure, Report, Target, Unit
from bench.images import TOP_SIZE, Shape, add_image, add_version
from bench.registry import Registry, serving
from bench.runs import Run, play
from bench.wire import metered_engine, received
from slipway.control_node import tools
from slipway.nodes.containers import connect
from slipway.nodes.load import ConnectedNode, Loader, Outcome
from slipway.nodes.shell import session
from slipway.oci import Image, ImageStore
from slipway.run import run

INVENTORY = "delivery"
CLUSTER = "bench-delivery"
NODE_COUNTS = (1, 2, 4)
SHAPES = (Shape("small", 150_000_000, 4), Shape("large", 1_000_000_000, 20))

ROUNDS = 3
"""Changes that are delivered each way; the median counts. The whole archive goes once."""

SAME_BYTES = Target(0.99, 1.01)
FEWER_BYTES = Target(1000)
FASTER = Target(20)
NOT_SLOWER = Target(1)

CTR = ("ctr", "--namespace=k8s.io", "images")
IMPORT = (*CTR, "import", "--all-platforms", "--digests", "--snapshotter=overlayfs", "-")
"""As ``kind load`` calls it."""
PULL = (*CTR, "pull", "--plain-http")

Nodes = Sequence[Container]


@dataclass(frozen=True)
class Way:
    """What a delivery took: seconds without and with Ansible's own, and bytes to each node."""

    seconds: float
    content: float
    wire: float = 0
    tasks: float = 0


@dataclass(frozen=True)
class Taken:
    """What the deliveries of one image to ``count`` nodes took."""

    shape: Shape
    count: int
    slipway: Way
    registry: Way
    archive: Way

    def figures(self) -> list[Figure]:
        """The figures, with the targets that hold for them."""
        what = f"{self.shape.name} image, {self.count} node{'' if self.count == 1 else 's'}"
        large, most = self.shape is SHAPES[-1], self.count == NODE_COUNTS[-1]
        own, other, whole = self.slipway, self.registry, self.archive
        content, complete = f"{what}: content to each", f"{what}: built to complete"
        archive, registry = "the whole archive", "registry, push and pull"
        tasks, playbook = f"{what}: built to complete, as tasks", "registry, push and pull as tasks"
        fewer, faster = FEWER_BYTES if large else None, FASTER if most else None
        size, time = Unit.BYTES, Unit.SECONDS
        return [
            Figure(content, own.content, size, archive, whole.content, fewer),
            Figure(content, own.content, size, "registry, pull", other.content, SAME_BYTES),
            Figure(f"{what}: on the wire", own.wire, size, "registry, pull", other.wire),
            Figure(complete, own.seconds, time, archive, whole.seconds, faster),
            Figure(complete, own.seconds, time, registry, other.seconds, NOT_SLOWER),
            Figure(tasks, own.tasks, time, playbook, other.tasks, NOT_SLOWER),
        ]


@dataclass(frozen=True)
class Site:
    """Where deliveries start: a folder for all that passes, and a registry."""

    folder: Path
    registry: Registry

    @property
    def store(self) -> ImageStore:
        """Where a run that has ``folder`` as its cache keeps images."""
        return ImageStore(self.folder / "images")

    def by_slipway(self, image: Image, nodes: Nodes) -> Way:
        """Have the loader deliver to all nodes at once."""
        begin = time.monotonic()
        with ThreadPoolExecutor(len(nodes)) as pool:
            outcomes = list(pool.map(lambda node: _load(self.store, image, node), nodes))
        end = time.monotonic()
        _check(image.ref, image, nodes)
        return Way(end - begin, max(outcome.bytes_sent for outcome in outcomes))

    def by_slipway_tasks(self, image: Image, nodes: Nodes) -> float:
        """Deliver as ``make up`` does; return its tasks' seconds."""
        loaded = self._play(image, nodes)
        _check(image.ref, image, nodes)
        return loaded.all_tasks().seconds

    def by_slipway_metered(self, image: Image, nodes: Nodes) -> float:
        """Deliver as ``make up`` does; return the bytes on the wire to each node.

        The meter takes time, so this is a run apart.
        """
        with metered_engine(self.folder) as meter:
            self._play(image, nodes, DOCKER_HOST=f"unix://{meter.server_address!s}")
        _check(image.ref, image, nodes)
        return sum(meter.sent) / len(nodes)

    def by_registry(self, image: Image, nodes: Nodes) -> Way:
        """Push, and pull on every node."""
        ref = self.registry.ref(image.ref)
        content, wire = self.registry.sent(), sum(map(received, nodes))
        begin = time.monotonic()
        self.registry.push(self.store, image.ref)
        on_all(nodes, [*PULL, ref])
        end = time.monotonic()
        content, wire = self.registry.sent() - content, sum(map(received, nodes)) - wire
        _check(ref, image, nodes)
        return Way(end - begin, content / len(nodes), wire / len(nodes))

    def by_registry_tasks(self, image: Image, nodes: Nodes) -> float:
        """Push and pull as tasks of a playbook; return its tasks' seconds."""
        ref = self.registry.ref(image.ref)
        commands = {
            "registry_push": self.registry.push_command(self.store, image.ref),
            "registry_pull": shlex.join([*PULL, ref]),
        }
        pulled = play(INVENTORY, "bench/playbooks/registry.yml", extra=_arguments(nodes, commands))
        _check(ref, image, nodes)
        return pulled.all_tasks().seconds

    def by_archive(self, image: Image, nodes: Nodes) -> Way:
        """Import the whole image on every node."""
        with tempfile.NamedTemporaryFile(dir=self.folder) as archive:
            self.store.write_archive([image.ref], archive)
            archive.flush()
            size = Path(archive.name).stat().st_size
            begin = time.monotonic()
            on_all(nodes, IMPORT, Path(archive.name))
            end = time.monotonic()
        _check(image.ref, image, nodes)
        return Way(end - begin, size, size)

    def _play(self, image: Image, nodes: Nodes, **env: str) -> Run:
        """Run the part of ``make up`` that brings the image to the nodes."""
        variables = {"slipway_cache_dir": str(self.folder), "__apps_needed_images": [image.ref]}
        extra = _arguments(nodes, variables)
        return play(INVENTORY, "bench/playbooks/load.yml", extra=extra, env=env)


def measure(*, keep: bool) -> Report:
    """Measure on nodes that are made for it, and removed unless they are to be kept."""
    tools.have(["docker_registry", "skopeo"], print)
    figures: list[Figure] = []
    with _nodes(keep=keep) as nodes:
        for shape in SHAPES:
            # One after the other, for every node holds each of them twice: packed and unpacked.
            with _site(nodes) as site:
                figures += [figure for taken in _deliver(shape, site, nodes) for figure in taken]
    return Report(
        figures, [f"One layer of {TOP_SIZE:,} bytes changed; median of {ROUNDS} changes."]
    )


def _deliver(shape: Shape, site: Site, nodes: Nodes) -> Iterator[list[Figure]]:
    """The figures of an image for each number of nodes."""
    first = add_image(site.store, shape)
    site.by_slipway(first, nodes)
    site.registry.push(site.store, first.ref)
    version = 0

    def changed() -> Image:
        nonlocal version
        version += 1
        return add_version(site.store, first, version)

    for count in NODE_COUNTS:
        some = nodes[:count]
        slipway, registry = [], []
        for _ in range(ROUNDS):
            own, other = site.by_slipway(changed(), some), site.by_registry(changed(), some)
            slipway.append(replace(own, tasks=site.by_slipway_tasks(changed(), some)))
            registry.append(replace(other, tasks=site.by_registry_tasks(changed(), some)))
        wire = site.by_slipway_metered(changed(), some)
        archive = site.by_archive(changed(), some)
        own = replace(_median(slipway), wire=wire)
        yield Taken(shape, count, own, _median(registry), archive).figures()


def _median(ways: Sequence[Way]) -> Way:
    """The way of which each value is the middle one."""
    return Way(
        seconds=median(way.seconds for way in ways),
        content=median(way.content for way in ways),
        wire=median(way.wire for way in ways),
        tasks=median(way.tasks for way in ways),
    )


def _load(store: ImageStore, image: Image, node: Container) -> Outcome:
    """Deliver to one node, without Ansible."""
    reach = ["docker", "exec", "--interactive", str(node.name), "/bin/sh", "-c"]
    with session(lambda command: [*reach, command]) as shell:
        connected = ConnectedNode(str(node.name), shell.run, shell.feed)
        return Loader(store, connected, say=lambda _line: None).load([image.ref])


@contextmanager
def _nodes(*, keep: bool) -> Iterator[Nodes]:
    """The nodes of the inventory, with containerd running."""
    # Nodes of an earlier run have these very images.
    play(INVENTORY, "playbooks/reset.yml")
    try:
        play(INVENTORY, "bench/playbooks/runtime.yml")
        client = connect()
        yield [
            client.containers.get(f"{CLUSTER}-{number + 1}") for number in range(NODE_COUNTS[-1])
        ]
    finally:
        if not keep:
            play(INVENTORY, "playbooks/reset.yml")


@contextmanager
def _site(nodes: Nodes) -> Iterator[Site]:
    """A folder for images and a registry at the address by which the nodes reach this machine."""
    gateway = nodes[0].attrs["NetworkSettings"]["Networks"][CLUSTER]["Gateway"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(gateway, folder / "registry") as registry:
            yield Site(folder, registry)


def on_all(nodes: Nodes, command: Sequence[str], stdin: Path = Path("/dev/null")) -> None:
    """Run a command on all nodes at once, each with the whole of a file as its input.

    Ends the program with what the command said when it fails.
    """

    def on(node: Container) -> None:
        argv = ["docker", "exec", "--interactive", str(node.name), *command]
        with stdin.open("rb") as content:
            done = subprocess.run(argv, stdin=content, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)} failed:\n{done.stderr}")

    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(on, nodes))


def _check(ref: str, image: Image, nodes: Nodes) -> None:
    """End the program unless every node has the whole image under the name ``ref``."""
    for node in nodes:
        command = ["docker", "exec", str(node.name), *CTR, "check", f"name=={ref}"]
        words = run(command, what=f"check of {ref}").split()
        if not {image.manifest_digest, "complete", "true"} <= set(words):
            raise SystemExit(f"{ref} is not complete on {node.name}: {' '.join(words)}")


def _arguments(nodes: Nodes, variables: Mapping[str, object]) -> list[str]:
    """The arguments with which a playbook runs on these nodes alone, and on this machine."""
    hosts = ["localhost", *(str(node.name) for node in nodes)]
    return ["--limit", ",".join(hosts), f"--extra-vars={json.dumps(variables)}"]

"""Node images: when one is made, what is put where, and what is left behind when that fails."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import docker
import pytest
from docker.errors import ImageNotFound

from slipway.errors import SlipwayError
from slipway.interrupts import watched_signals
from slipway.nodes import image as node_image
from slipway.nodes.placed import record_of
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from slipway.on_node.shared import RECORD
from tests.support.bundles import silent

MACHINE = "bundle.slipway.internal/node:1"
PAUSE = "registry.k8s.io/pause:3.10"
TOOLS = "bundle.slipway.internal/maven:21"
ENTRYPOINT = ["/first-process"]


class Done(NamedTuple):
    """How a command ended."""

    exit_code: int
    output: bytes


class FakeImage(NamedTuple):
    """An image of the engine."""

    id: str
    tags: list[str]
    engine: Any = None

    def tag(self, repository: str, tag: str) -> None:
        """Have one more name."""
        name = f"{repository}:{tag}"
        self.tags.append(name)
        self.engine.there[name] = self

    def save(self, *, named: bool) -> Iterator[bytes]:
        """An archive of it."""
        assert named
        yield self.engine.saved

    @property
    def attrs(self) -> dict[str, dict[str, list[str]]]:
        """What the engine tells of it."""
        return {"Config": {"Entrypoint": ENTRYPOINT}}


def machine_of(bundle: Path) -> str:
    """The id of a bundle's image of a bare machine."""
    (image,) = ImageStore(bundle / "images").require([MACHINE])
    return image.config_digest


def members(stream: IO[bytes]) -> list[str]:
    """The files of a tar."""
    with tarfile.open(fileobj=io.BytesIO(stream.read())) as tar:
        return sorted(tar.getnames())


def references(archive: Path) -> list[str]:
    """The images of an OCI archive."""
    with tarfile.open(archive) as tar:
        index = json.load(cast(IO[bytes], tar.extractfile("index.json")))
    return [each["annotations"]["org.opencontainers.image.ref.name"] for each in index["manifests"]]


class FakeContainer:
    """A container that notes what is done with it."""

    def __init__(self, engine: FakeEngine, image: str, **options: Any) -> None:
        self.engine = engine
        self.image = FakeImage(image, [])
        self.command: list[str] = options["entrypoint"]
        self.volumes: list[str] = options["volumes"]
        self.files: list[str] = []
        self.record = ""
        self.did: list[str] = []

    def put_archive(self, place: str, stream: IO[bytes]) -> None:
        """Take files."""
        assert place == "/"
        self.files = members(stream)
        stream.seek(0)
        with tarfile.open(fileobj=stream) as tar:
            self.record = cast(IO[bytes], tar.extractfile(RECORD[1:])).read().decode()

    def start(self) -> None:
        """Run."""
        self.did.append("start")

    def stop(self) -> None:
        """End."""
        self.did.append("stop")

    def wait(self) -> dict[str, int]:
        """How its command ended."""
        self.did.append("wait")
        return {"StatusCode": self.engine.copying}

    def exec_run(self, argv: list[str]) -> Done:
        """Answer as a ctr that becomes ready and then imports."""
        assert argv[:2] == ["ctr", "--namespace=k8s.io"]
        self.did.append(" ".join(argv[2:]))
        if argv[2] == "version":
            return Done(next(self.engine.versions), b"")
        (scratch,) = (each for each in self.volumes if each.endswith(":/scratch"))
        self.engine.imported = references(Path(scratch.split(":")[0]) / "images.tar")
        return Done(*self.engine.importing)

    def logs(self) -> bytes:
        """What the command printed."""
        return b"failed to mount overlay\n"

    def commit(self, repository: str, tag: str, *, conf: dict[str, list[str]]) -> None:
        """Give an image."""
        assert conf == {"Entrypoint": ENTRYPOINT}
        self.did.append("commit")
        self.engine.add(f"{repository}:{tag}")

    def remove(self, **_options: bool) -> None:
        """Be no more."""
        self.engine.left.remove(self)


class Images:
    """The engine's images."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine

    def get(self, name: str) -> FakeImage:
        """An image by its name or id."""
        for own, image in self.engine.there.items():
            if name in (own, image.id):
                return image
        raise ImageNotFound(name)

    def load(self, stream: IO[bytes]) -> list[FakeImage]:
        """Take an image out of an archive, in place of what has its name."""
        files = members(stream)
        self.engine.loaded.append(files)
        stream.seek(0)
        with tarfile.open(fileobj=stream) as tar:
            index = json.load(cast(IO[bytes], tar.extractfile("manifest.json")))
        (name,) = index[0]["RepoTags"]
        (config,) = (
            each.removesuffix(".json")
            for each in files
            if each.endswith(".json") and each != "manifest.json"
        )
        image = FakeImage(f"sha256:{config}", [name], self.engine)
        self.engine.there[name] = image
        return [image]

    def list(self, repository: str) -> list[FakeImage]:
        """The images of one name."""
        found = self.engine.there.items()
        return [image for name, image in found if name.startswith(f"{repository}:")]

    def remove(self, name: str) -> None:
        """Have an image no more by this name."""
        del self.engine.there[name]


class FakeEngine:
    """The parts of a docker client that node images are made with."""

    def __init__(self) -> None:
        self.images = Images(self)
        self.containers = self.volumes = self
        self.there: dict[str, FakeImage] = {}
        self.nodes: list[FakeContainer] = []
        self.made: list[FakeContainer] = []
        self.left: list[object] = []
        self.loaded: list[list[str]] = []
        self.imported: list[str] = []
        self.saved = b""
        self.versions: Iterator[int] = itertools.chain([1, 1], itertools.repeat(0))
        self.importing = (0, b"")
        self.copying = 0

    def add(self, name: str) -> None:
        """Have an image."""
        self.there[name] = FakeImage(f"sha256:{name}", [name], self)

    def create(self, image: str | None = None, **options: Any) -> Any:
        """A container of an image, or else a volume."""
        if image is None:
            volume = type("Volume", (), {"name": "seed"})()
            volume.remove = lambda: self.left.remove(volume)
            self.left.append(volume)
            return volume
        assert self.images.get(image)
        container = FakeContainer(self, image, **options)
        self.made.append(container)
        self.left.append(container)
        return container

    def list(self, **_options: bool) -> list[FakeContainer]:
        """The nodes."""
        return self.nodes


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


PORTABLE = ("haproxy", "keepalived", "nft")
"""Programs that have a folder of their own, with all that they load."""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of a binary in each place, and of images."""
    path = tmp_path / "bundle" / "0123456789abcdef"
    for place in ("bin/kubelet", "cni/bridge", *(f"{name}/{name}" for name in PORTABLE)):
        (path / place).parent.mkdir(parents=True)
        (path / place).write_text(place)
    store = ImageStore(path / "images")
    for ref in (MACHINE, PAUSE, TOOLS):
        store.add_image(ref, [layer_from_tree({"/name": ref.encode()})], ImageConfig())
    return path


def preloaded(engine: FakeEngine, bundle: Path) -> tuple[str, list[str]]:
    """The node image's name, and what was said."""
    said: list[str] = []
    client = cast(docker.DockerClient, engine)
    return node_image.preloaded(client, bundle, MACHINE, said.append, [PAUSE]), said


def test_a_bare_machine_is_loaded_once(engine: FakeEngine, bundle: Path) -> None:
    client, said = cast(docker.DockerClient, engine), list[str]()
    for _time in range(2):
        assert node_image.bare(client, bundle, MACHINE, said.append) == machine_of(bundle)
    assert said == [f"loading {MACHINE}"]
    assert len(engine.loaded) == 1
    assert "manifest.json" in engine.loaded[0]
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_a_node_image_is_made_of_the_machine_of_its_own_bundle(
    engine: FakeEngine, bundle: Path
) -> None:
    engine.add(MACHINE)  # that of another bundle
    preloaded(engine, bundle)
    assert {container.image.id for container in engine.made} == {machine_of(bundle)}


def test_a_node_image_has_the_bundle_in_its_places(engine: FakeEngine, bundle: Path) -> None:
    name, said = preloaded(engine, bundle)
    assert name.startswith("slipway-node:")
    assert name in engine.there
    assert said[0] == f"making the node image {name} (once for each bundle)"
    assert said[1] == f"loading {MACHINE}"
    loading, final = engine.made
    for container in engine.made:
        assert container.image.id == machine_of(bundle)
        portable = [f"/usr/local/lib/slipway/{name}/{name}" for name in PORTABLE]
        assert container.files == [
            *("opt/cni/bin/bridge", "usr/local/bin/kubelet"),
            *(path[1:] for path in portable),
            RECORD[1:],
        ]
        own = ["/usr/local/bin/kubelet", "/opt/cni/bin/bridge", *portable]
        assert container.record == record_of(own)
    assert "seed:/var/lib/containerd" in loading.volumes
    assert final.volumes == ["seed:/seed"]
    assert final.did == ["start", "wait", "commit"]


def test_images_are_loaded_pinned_once_containerd_answers(engine: FakeEngine, bundle: Path) -> None:
    preloaded(engine, bundle)
    assert engine.made[0].command == ["/usr/local/bin/containerd"]
    assert engine.made[0].did == [
        "start",
        *["version"] * 3,
        "images import --local --label=io.cri-containerd.pinned=pinned /scratch/images.tar",
        "stop",
    ]
    assert engine.imported == [PAUSE]


def test_a_node_image_is_made_once_for_a_bundle(engine: FakeEngine, bundle: Path) -> None:
    name, _said = preloaded(engine, bundle)
    assert preloaded(engine, bundle) == (name, [])
    assert len(engine.made) == 2
    assert preloaded(engine, bundle.rename(bundle.with_name("fedcba9876543210")))[0] != name


def test_node_images_that_no_node_is_made_of_go(engine: FakeEngine, bundle: Path) -> None:
    for name in ("slipway-node:used", "slipway-node:old", "debian:13"):
        engine.add(name)
    used = FakeContainer(engine, "", entrypoint=[], volumes=[])
    used.image = engine.there["slipway-node:used"]
    engine.nodes = [used]
    name, _said = preloaded(engine, bundle)
    assert engine.there.keys() == {"slipway-node:used", "debian:13", MACHINE, name}


def carried(engine: FakeEngine, bundle: Path, folder: Path) -> list[str]:
    """What is put beside a bundle."""
    store = ImageStore(folder / "of the engine")
    store.add_image("docker.io/library/node:1", [layer_from_tree({"/x": b"baked"})], ImageConfig())
    store.write_docker_archive("docker.io/library/node:1", folder / "saved.tar")
    engine.saved = (folder / "saved.tar").read_bytes()
    beside = folder / "beside"
    beside.mkdir()
    client = cast(docker.DockerClient, engine)
    node_image.carry(client, bundle, MACHINE, silent, [PAUSE], beside)
    return [path.name for path in beside.iterdir()]


def test_a_node_image_goes_beside_the_bundle_that_it_was_made_of_and_is_loaded_from_there(
    engine: FakeEngine, bundle: Path, tmp_path: Path
) -> None:
    assert carried(engine, bundle, tmp_path) == ["node"]
    (tmp_path / "beside" / "node").rename(bundle / "node")
    elsewhere = FakeEngine()
    elsewhere.add("slipway-node:old")
    name, said = preloaded(elsewhere, bundle.rename(bundle.with_name("fedcba9876543210")))
    (ref,) = ImageStore(tmp_path / "bundle" / "fedcba9876543210" / "node").images()
    assert said == [f"loading {ref}"]
    assert elsewhere.made == []
    assert set(elsewhere.there) == {ref, name}
    assert elsewhere.there[name].tags == [ref, name]


def test_one_of_other_images_is_made_all_the_same(
    engine: FakeEngine, bundle: Path, tmp_path: Path
) -> None:
    carried(engine, bundle, tmp_path)
    (tmp_path / "beside" / "node").rename(bundle / "node")
    client, elsewhere = cast(docker.DockerClient, (fake := FakeEngine())), fake
    node_image.preloaded(client, bundle, MACHINE, silent, [PAUSE, TOOLS])
    assert elsewhere.made


def test_a_bundle_that_brings_it_is_not_given_another(
    engine: FakeEngine, bundle: Path, tmp_path: Path
) -> None:
    carried(engine, bundle, tmp_path)
    (tmp_path / "beside" / "node").rename(bundle / "node")
    (tmp_path / "second").mkdir()
    assert carried(FakeEngine(), bundle, tmp_path / "second") == []


def test_nothing_else_is_left_behind(engine: FakeEngine, bundle: Path) -> None:
    preloaded(engine, bundle)
    assert engine.left == []
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (
            {"importing": (1, b"ctr: no space left on device\n")},
            r"node image: images cannot be loaded\n.*\| ctr: no space left",
        ),
        (
            {"versions": itertools.repeat(1)},
            r"containerd: does not answer; it last said\n.*\| failed to mount overlay",
        ),
        ({"copying": 1}, r"node image: cannot be put together.*\n.*\| failed to mount overlay"),
    ],
)
def test_what_goes_wrong_is_told_and_nothing_is_left_behind(
    engine: FakeEngine,
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.setattr(node_image, "START_SECONDS", 0.3)
    for name, value in trouble.items():
        setattr(engine, name, value)
    with pytest.raises(SlipwayError, match=message):
        preloaded(engine, bundle)
    assert engine.left == []
    assert list(engine.there) == [MACHINE]
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_nothing_is_left_behind_by_a_run_that_is_told_to_end(
    engine: FakeEngine, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []

    def end(*_: Any) -> None:
        left.append([*engine.left])
        raise InterruptedError

    def told_to_end(*_: Any) -> Done:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)  # the signal comes in the middle of it
        raise AssertionError

    monkeypatch.setattr(FakeContainer, "exec_run", told_to_end)
    before = signal.signal(signal.SIGTERM, end)
    try:
        with watched_signals(), pytest.raises(InterruptedError):
            preloaded(engine, bundle)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert left == [[]]

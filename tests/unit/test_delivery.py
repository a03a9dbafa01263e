"""What is sent to a node, and what happens when the node is not as it said."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Set
from pathlib import Path
from typing import IO

import pytest

from slipway.containerd import (
    Answer,
    Containerd,
    NodeImage,
    NodeState,
    Removal,
    Retention,
    read_probe,
    superfluous,
)
from slipway.delivery import Delivery, Loader, plan
from slipway.errors import SlipwayError
from slipway.oci import Image, ImageConfig, ImageStore, layer_from_tree
from slipway.oci.model import LAYER, LAYER_GZIP, Descriptor, readable

ONE, TWO = "apps.slipway.internal/greeter:one", "apps.slipway.internal/greeter:two"
CONFIG = ImageConfig(architecture="amd64")


class Machine:
    """This machine as a node named ``worker1``, with a fake ``ctr`` on a directory."""

    name = "worker1"

    def __init__(self, root: Path, architecture: str = "x86_64") -> None:
        self.root = root
        self.archives: list[list[str]] = []
        self.trips = 0
        self.path = root / "bin"
        self.path.mkdir(parents=True)
        uname = self.path / "uname"
        uname.write_text(f"#!/bin/sh\necho {architecture}\n")
        uname.chmod(0o755)
        script = Path(__file__).with_name("fake_ctr.py")
        self.containerd = Containerd(
            ctr=shlex.join([sys.executable, "-IS", str(script), str(root)]), root=str(root)
        )

    def run(self, command: str) -> Answer:
        return self._run(command, None)

    def feed(self, command: str, write: Callable[[IO[bytes]], None]) -> Answer:
        archive = self.root / f"archive{len(self.archives)}.tar"
        with archive.open("wb") as out:
            write(out)
        with tarfile.open(archive) as tar:
            self.archives.append([n.rpartition("/")[2] for n in tar.getnames() if "blobs/" in n])
        with archive.open("rb") as stream:
            return self._run(command, stream)

    def _run(self, command: str, stdin: IO[bytes] | None) -> Answer:
        self.trips += 1
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": f"{self.path}:{os.environ['PATH']}"},
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def state(self) -> NodeState:
        state = read_probe(self.run(self.containerd.probe([ONE, TWO])))
        assert state is not None
        return state

    def lose(self, digest: str) -> None:
        """Take the blob's file away behind containerd's back."""
        (self.root / "io.containerd.content.v1.content/blobs/sha256" / digest[7:]).unlink()

    def edit(self, name: str, change: Callable[[dict[str, dict[str, str]]], object]) -> None:
        """Change what the fake ``ctr`` keeps in one of its files."""
        content = json.loads((self.root / name).read_text())
        change(content)
        (self.root / name).write_text(json.dumps(content))

    def names(self) -> set[str]:
        """The names of all its images."""
        return set(json.loads((self.root / "images.json").read_text()))

    def imports(self) -> int:
        return (self.root / "log").read_text().count("images import")


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    store = ImageStore(tmp_path / "store")
    base = layer_from_tree({"/base": b"b" * 5000})
    for ref, app in ((ONE, b"1"), (TWO, b"2")):
        store.add_image(ref, [base, layer_from_tree({"/app": app})], CONFIG)
    return store


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "node")


def loader(
    store: ImageStore,
    machine: Machine,
    said: list[str] | None = None,
    pinned: bool = True,
    keep: Set[str] | None = None,
) -> Loader:
    say = said.append if said is not None else lambda _text: None
    retention = Retention() if keep is None else Retention("apps.slipway.internal/", keep)
    return Loader(store, machine, say, pinned, machine.containerd, retention)


def stored(store: ImageStore, ref: str) -> Image:
    return store.require([ref])[0]


def names(*digests: str) -> set[str]:
    return {digest.removeprefix("sha256:") for digest in digests}


def test_an_empty_node_gets_each_blob_once_and_then_nothing(
    store: ImageStore, machine: Machine
) -> None:
    said: list[str] = []
    outcome = loader(store, machine, said).load([ONE, TWO])
    blobs = {**stored(store, ONE).blobs, **stored(store, TWO).blobs}
    assert len(machine.archives[0]) == len(blobs) == 7
    assert set(machine.archives[0]) == names(*blobs)
    assert outcome.loaded == [ONE, TWO]
    assert outcome.bytes_sent == sum(blobs.values())
    size = readable(outcome.bytes_sent)
    assert said == [f"worker1: 2 images, {size} of {size} to send"]
    again = loader(store, machine, said).load([ONE, TWO])
    assert (again.loaded, again.bytes_sent, again.after) == ([], 0, again.before)
    assert (len(said), machine.imports()) == (1, 1)


def test_a_node_gets_only_the_blobs_that_it_lacks(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    outcome = loader(store, machine).load([TWO])
    two = stored(store, TWO)
    sent = {two.manifest_digest, two.config_digest, two.layers[1].digest}
    assert set(machine.archives[1]) == names(*sent)
    assert outcome.bytes_sent == sum(two.blobs[digest] for digest in sent)
    assert machine.state().has(two, pinned=True)


def test_a_name_with_another_digest_is_loaded_again(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    new = store.add_image(ONE, [layer_from_tree({"/app": b"new"})], CONFIG)
    outcome = loader(store, machine).load([ONE])
    assert outcome.loaded == [ONE]
    assert outcome.before[ONE] != outcome.after[ONE] == f"{new.manifest_digest} pinned"
    assert machine.state().images[ONE] == NodeImage(new.manifest_digest, ready=True, pinned=True)


def test_an_image_that_lost_its_pin_is_pinned_again(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    machine.edit("images.json", lambda images: images[ONE].update(labels={}))  # type: ignore[call-overload]
    assert loader(store, machine, pinned=False).load([ONE]).loaded == []
    assert loader(store, machine).load([ONE]).loaded == [ONE]
    one = stored(store, ONE)
    assert set(machine.archives[1]) == names(one.manifest_digest, one.config_digest)
    assert machine.state().images[ONE].pinned


def test_nothing_is_pinned_unless_asked(store: ImageStore, machine: Machine) -> None:
    loader(store, machine, pinned=False).load([ONE])
    assert machine.state().images[ONE] == NodeImage(
        stored(store, ONE).manifest_digest, ready=True, pinned=False
    )


def test_an_image_that_someone_removed_comes_back(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    machine.edit("images.json", lambda images: images.pop(ONE))
    assert loader(store, machine).load([ONE]).loaded == [ONE]
    assert machine.state().has(stored(store, ONE), pinned=True)


def test_a_blob_that_is_listed_but_gone_is_sent_and_stored_again(
    store: ImageStore, machine: Machine
) -> None:
    loader(store, machine).load([ONE])
    one = stored(store, ONE)
    machine.lose(one.layers[0].digest)
    outcome = loader(store, machine).load([ONE])
    assert set(machine.archives[1]) == names(
        one.manifest_digest, one.config_digest, one.layers[0].digest
    )
    assert outcome.loaded == [ONE]
    assert machine.state().has(one, pinned=True)
    assert machine.imports() == 2


def test_a_blob_that_containerd_dropped_is_sent_again(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    one = stored(store, ONE)
    machine.edit("listed", lambda listed: listed.pop(one.layers[1].digest))
    assert loader(store, machine).load([ONE]).bytes_sent == one.size - one.layers[0].size
    assert machine.state().has(one, pinned=True)


class Forgetful(Machine):
    """A node that loses a blob after it said that it has it."""

    lost: str = ""

    def run(self, command: str) -> Answer:
        answer = super().run(command)
        if self.lost:
            self.lose(self.lost)
            self.lost = ""
        return answer


def test_what_a_node_lost_meanwhile_is_sent_again_in_full(
    store: ImageStore, tmp_path: Path
) -> None:
    machine = Forgetful(tmp_path / "node")
    loader(store, machine).load([ONE])
    one, two = stored(store, ONE), stored(store, TWO)
    machine.lost = one.layers[0].digest
    said: list[str] = []
    outcome = loader(store, machine, said).load([TWO])
    assert [set(archive) for archive in machine.archives[1:]] == [
        names(*two.blobs.keys() - {two.layers[0].digest}),
        names(*two.blobs),
    ]
    assert said[1] == f"worker1: incomplete, {readable(two.size)} again in full"
    assert outcome.bytes_sent == two.size + two.size - two.layers[0].size
    assert machine.state().has(two, pinned=True)
    assert machine.state().has(one, pinned=True)


def test_an_import_that_fails_twice_ends_with_what_ctr_said(
    store: ImageStore, machine: Machine
) -> None:
    machine.root.joinpath("broken").touch()
    with pytest.raises(SlipwayError) as caught:
        loader(store, machine).load([ONE])
    assert str(caught.value) == (
        f"worker1: has no complete {ONE} after the import; it said\n"
        "    | ctr: no space left on device"
    )
    assert machine.imports() == 2
    machine.root.joinpath("broken").unlink()
    assert loader(store, machine).load([ONE]).loaded == [ONE]


def test_a_node_whose_containerd_is_down_says_so(store: ImageStore, machine: Machine) -> None:
    machine.root.joinpath("down").touch()
    with pytest.raises(SlipwayError, match=r"worker1: cannot say .*(\n.*)*ctr: failed to dial"):
        loader(store, machine).load([ONE])
    assert machine.archives == []


def test_images_that_are_not_stored_are_all_named_before_the_node_is_asked(
    store: ImageStore, machine: Machine
) -> None:
    with pytest.raises(SlipwayError) as caught:
        loader(store, machine).load(["a.b/c:1", ONE, "a.b/c:2"])
    assert [problem.where for problem in caught.value.problems] == ["a.b/c:1", "a.b/c:2"]
    assert not (machine.root / "log").exists()


def test_an_image_for_another_architecture_is_not_sent(store: ImageStore, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "node", architecture="aarch64")
    with pytest.raises(SlipwayError, match=f"is linux/arm64, but {ONE} is for linux/amd64"):
        loader(store, machine).load([ONE])
    assert machine.archives == []


def test_a_full_disk_is_found_before_anything_is_sent(store: ImageStore, machine: Machine) -> None:
    df = machine.path / "df"
    df.write_text(
        "#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted on\n"
        "echo /dev/vda 1000 980 20 98% /var\n"
    )
    df.chmod(0o755)
    with pytest.raises(SlipwayError) as caught:
        loader(store, machine).load([ONE])
    one = stored(store, ONE)
    need = one.size + sum(layer.size for layer in one.layers)
    assert f"has 20.5 kB free, and the images take about {readable(need)}" in str(caught.value)
    assert machine.archives == []


def test_a_preview_says_what_would_be_sent_and_sends_nothing(
    store: ImageStore, machine: Machine
) -> None:
    loader(store, machine).load([ONE])
    before = machine.state()
    outcome = loader(store, machine).preview([ONE, TWO, "a.b/c:1"])
    two = stored(store, TWO)
    assert outcome.loaded == [TWO, "a.b/c:1"]
    assert outcome.bytes_sent == two.size - two.layers[0].size
    assert outcome.after == {
        **outcome.before,
        TWO: f"{two.manifest_digest} pinned",
        "a.b/c:1": "not known yet",
    }
    assert (machine.state().images, machine.state().blobs) == (before.images, before.blobs)
    assert machine.imports() == 1


def test_a_preview_works_before_node_and_store_are_there(machine: Machine) -> None:
    machine.root.joinpath("down").touch()
    nowhere = ImageStore(machine.root / "none")
    assert loader(nowhere, machine).preview([ONE]).loaded == [ONE]
    assert not nowhere.root.exists()


def test_compressed_layers_need_more_room_than_their_size() -> None:
    blob = Descriptor("x", "sha256:" + "0" * 64, 10)
    layer = Descriptor(LAYER_GZIP, "sha256:" + "1" * 64, 100)
    image = Image(ONE, "linux/amd64", blob, blob, (layer,))
    assert Delivery((image,), frozenset(), frozenset()).room == 110 + 300
    assert Delivery((image,), frozenset({layer.digest}), frozenset()).room == 10


THREE, OTHER = "apps.slipway.internal/greeter:three", "other.slipway.internal/greeter:one"


def add(store: ImageStore, *refs: str) -> None:
    """More images, each with a layer of its own."""
    for ref in refs:
        store.add_image(ref, [layer_from_tree({"/app": ref.encode()})], CONFIG)


def test_what_is_not_kept_goes_on_the_trip_that_brings_the_new(
    store: ImageStore, machine: Machine
) -> None:
    add(store, THREE, OTHER)
    loader(store, machine).load([ONE, TWO, OTHER])
    trips = machine.trips
    outcome = loader(store, machine, keep={TWO}).load([THREE])
    assert (outcome.loaded, outcome.removed) == ([THREE], [ONE])
    assert machine.trips == trips + 2
    ids = {image.ref: image.config_digest for image in store.images().values()}
    assert machine.names() == {name for ref in (TWO, THREE, OTHER) for name in (ref, ids[ref])}
    assert outcome.before == {ONE: stored(store, ONE).manifest_digest}
    assert outcome.after == {THREE: f"{stored(store, THREE).manifest_digest} pinned"}


def test_a_node_without_superfluous_images_is_asked_once(
    store: ImageStore, machine: Machine
) -> None:
    loader(store, machine).load([ONE, TWO])
    trips = machine.trips
    outcome = loader(store, machine, keep={TWO}).load([ONE])
    assert (outcome.removed, machine.trips) == ([], trips + 1)


def test_images_go_when_nothing_comes(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE, TWO])
    foreseen = loader(store, machine, keep=frozenset()).preview([ONE])
    assert foreseen.removed == [TWO]
    assert TWO in machine.names()
    outcome = loader(store, machine, keep=frozenset()).load([ONE])
    assert (outcome.removed, outcome.loaded) == ([TWO], [])
    assert outcome.before.keys() - outcome.after.keys() == {TWO}
    assert TWO not in machine.names()
    assert loader(store, machine, keep=frozenset()).load([ONE]).removed == []


def test_an_image_that_a_container_has_stays(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE, TWO])
    (machine.root / "containers").write_text(json.dumps([stored(store, ONE).config_digest]))
    trips = machine.trips
    assert loader(store, machine, keep=frozenset()).preview([]).removed == [TWO]
    assert loader(store, machine, keep=frozenset()).load([]).removed == [TWO]
    assert loader(store, machine, keep=frozenset()).load([]).removed == []
    assert machine.trips == trips + 4
    assert ONE in machine.names()


class Starting(Machine):
    """A node on which a container starts after it said what it has."""

    image = ""

    def run(self, command: str) -> Answer:
        answer = super().run(command)
        if self.image:
            (self.root / "containers").write_text(json.dumps([self.image]))
        return answer


def test_an_image_that_is_taken_into_use_meanwhile_stays(store: ImageStore, tmp_path: Path) -> None:
    machine = Starting(tmp_path / "node")
    loader(store, machine).load([ONE, TWO])
    machine.image = ONE
    assert loader(store, machine, keep=frozenset()).load([]).removed == [TWO]
    assert ONE in machine.names()


def test_nothing_is_removed_unless_the_new_images_are_complete(
    store: ImageStore, machine: Machine
) -> None:
    loader(store, machine).load([ONE])
    machine.root.joinpath("broken").touch()
    with pytest.raises(SlipwayError):
        loader(store, machine, keep=frozenset()).load([TWO])
    assert ONE in machine.names()
    machine.root.joinpath("broken").unlink()
    assert loader(store, machine, keep=frozenset()).load([TWO]).removed == [ONE]


def test_another_name_of_an_image_goes_alone() -> None:
    digest = "sha256:" + "a" * 64
    names = dict.fromkeys([ONE, OTHER, "sha256:" + "b" * 64], digest)
    state = NodeState({}, frozenset(), frozenset(), "amd64", 0, names)
    everything = Retention("apps.slipway.internal/")
    assert superfluous(state, everything, []) == [Removal((ONE,), tuple(sorted(names)))]
    assert superfluous(state, everything, [ONE]) == []
    assert superfluous(state, Retention(), []) == []


@pytest.mark.parametrize("prefix", ["a", "apps.slipway.internal", "/", "sha256:", "a.b/c d/"])
def test_only_whole_repositories_are_tidied(prefix: str) -> None:
    with pytest.raises(SlipwayError, match="is no beginning of image names"):
        Retention(prefix)


def test_a_layer_on_a_new_one_is_unpacked_again() -> None:
    small = Descriptor("x", "sha256:" + "0" * 64, 10)
    base = Descriptor(LAYER, "sha256:" + "1" * 64, 1000)
    app = Descriptor(LAYER, "sha256:" + "2" * 64, 100)
    image = Image(ONE, "linux/amd64", small, small, (base, app))
    assert Delivery((image,), frozenset({app.digest}), frozenset()).room == 1010 + 1100
    assert Delivery((image,), frozenset({base.digest}), frozenset()).room == 110 + 100


def probe_output(version: str) -> str:
    """What a node said, as recorded from real containerd."""
    digest, blob = "sha256:" + "a" * 64, "b" * 64
    return f"""unpacking {ONE} ({digest})...done

=== check
REF{" " * 30}TYPE DIGEST STATUS SIZE UNPACKED\x20
{ONE} application/vnd.oci.image.manifest.v1+json {digest} complete (5/5) 340.1 MiB/340.1 MiB true
{TWO} application/vnd.oci.image.manifest.v1+json {digest} incomplete (3/5) 1.0 KiB/2.0 KiB {version}
=== pinned
{ONE}
=== content
sha256:{blob}
=== files
{blob}
=== machine
aarch64
Filesystem     1024-blocks      Used Available Capacity Mounted on
/dev/vda         263174212  21000000  74000000      23% /
"""


@pytest.mark.parametrize("unpacked", ["false", "true"])
def test_a_nodes_answer_is_read(unpacked: str) -> None:
    digest = "sha256:" + "a" * 64
    assert read_probe(Answer(0, probe_output(unpacked), "")) == NodeState(
        images={
            ONE: NodeImage(digest, ready=True, pinned=True),
            TWO: NodeImage(digest, ready=False, pinned=False),
        },
        blobs=frozenset({"sha256:" + "b" * 64}),
        lost=frozenset(),
        architecture="arm64",
        free=74000000 * 1024,
    )


def test_a_complete_image_that_is_not_unpacked_is_not_ready() -> None:
    text = probe_output("false").replace("340.1 MiB true", "340.1 MiB false")
    state = read_probe(Answer(0, text, ""))
    assert state is not None
    assert state.images[ONE].ready is False


@pytest.mark.parametrize("until", ["=== pinned", "=== content", "=== machine", "/dev/vda", ""])
def test_an_answer_that_is_cut_off_is_no_answer(until: str) -> None:
    text = probe_output("true")
    assert read_probe(Answer(0, text[: text.index(until)], "")) is None


def test_nothing_is_planned_for_a_node_that_has_all(store: ImageStore) -> None:
    image = stored(store, ONE)
    has = {ONE: NodeImage(image.manifest_digest, ready=True, pinned=True)}
    state = NodeState(has, frozenset(image.blobs), frozenset(), "amd64", 0)
    assert plan([image], state, pinned=True).images == ()


def test_two_nodes_are_loaded_at_once_from_one_store(store: ImageStore, machine: Machine) -> None:
    outcomes: list[list[str]] = []
    other = Machine(machine.root.parent / "other")
    threads = [
        threading.Thread(
            target=lambda node=node: outcomes.append(loader(store, node).load([ONE, TWO]).loaded)
        )
        for node in (machine, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == [[ONE, TWO], [ONE, TWO]]
    assert other.state().has(stored(store, TWO), pinned=True)

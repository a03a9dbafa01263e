"""What is sent to a node, and what happens when the node is not as it said."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import sys
import tarfile
import threading
from collections.abc import Callable, Set
from pathlib import Path
from typing import IO, Any

import pytest

from slipway.errors import SlipwayError
from slipway.nodes.containerd import (
    PINNED,
    Answer,
    Containerd,
    NodeImage,
    Retention,
    plan_removals,
    read_images,
    read_probe,
    read_removed,
)
from slipway.nodes.load import Loader
from slipway.nodes.shell import Argv, session
from slipway.oci import Image, ImageConfig, ImageStore, Layer, layer_from_tree
from slipway.oci.model import Descriptor, readable
from tests.support.checkout import PROJECT

ONE, TWO = "apps.slipway.internal/greeter:one", "apps.slipway.internal/greeter:two"
CONFIG = ImageConfig(architecture="amd64")


class Machine:
    """This machine as a node named ``worker1``, with a fake ``ctr`` on a directory."""

    name = "worker1"

    def __init__(self, root: Path, architecture: str = "x86_64") -> None:
        self.root = root
        self.archives: list[list[str]] = []
        self.lost_on_the_way = 0
        self.trips = 0
        self.path = root / "bin"
        self.path.mkdir(parents=True)
        uname = self.path / "uname"
        uname.write_text(f"#!/bin/sh\necho {architecture}\n")
        uname.chmod(0o755)
        script = PROJECT / "tests" / "support" / "fake_ctr.py"
        self.containerd = Containerd(
            ctr=shlex.join([sys.executable, "-IS", str(script), str(root)]), root=str(root)
        )

    def run(self, command: str) -> Answer:
        self.trips += 1
        with session(self._client) as shell:
            return shell.run(command)

    def feed(self, command: str, write: Callable[[IO[bytes]], None]) -> Answer:
        self.trips += 1
        archive = io.BytesIO()
        write(archive)
        with tarfile.open(fileobj=io.BytesIO(archive.getvalue())) as tar:
            self.archives.append([n.rpartition("/")[2] for n in tar.getnames() if "blobs/" in n])
        arriving = archive.getvalue()[: len(archive.getvalue()) - self.lost_on_the_way]

        def give(out: IO[bytes]) -> None:
            out.write(arriving)

        with session(self._client) as shell:
            return shell.feed(command, give)

    def _client(self, command: str) -> Argv:
        return ["env", f"PATH={self.path}:{os.environ['PATH']}", "/bin/sh", "-c", command]

    def images(self) -> dict[str, NodeImage]:
        """Its images by name."""
        return read_images(self.run(self.containerd.ctr + " images ls"))

    def has(self, image: Image) -> bool:
        """Whether the image is pinned, complete and unpacked, by what the fake ``ctr`` keeps."""
        chain = image.layers[0].digest
        for layer in image.layers[1:]:
            chain = f"sha256:{hashlib.sha256(f'{chain} {layer.digest}'.encode()).hexdigest()}"
        listed, snapshots = (self.read(name) for name in ("listed", "snapshots"))
        return (
            self.images().get(image.ref) == NodeImage(image.manifest_digest, pinned=True)
            and all(digest in listed and self.file(digest).exists() for digest in image.blobs)
            and chain in snapshots
        )

    def file(self, digest: str) -> Path:
        """The file of a blob."""
        return self.root / "io.containerd.content.v1.content/blobs/sha256" / digest[7:]

    def lose(self, digest: str) -> None:
        """Take the blob's file away behind containerd's back."""
        self.file(digest).unlink()

    def read(self, name: str) -> Any:
        """What the fake ``ctr`` keeps in one of its files."""
        return json.loads((self.root / name).read_text())

    def edit(self, name: str, change: Callable[[Any], object]) -> None:
        """Change that."""
        content = self.read(name)
        change(content)
        (self.root / name).write_text(json.dumps(content))

    def names(self) -> set[str]:
        """The names of all its images."""
        return set(self.read("images.json"))

    def calls(self) -> list[str]:
        """What ``ctr`` was called with since this was asked last, without options and values."""
        log = self.root / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [" ".join(line.split()[:2]) for line in lines]


def layers(app: bytes) -> list[Layer]:
    """The layers of an image: a common one, and one of its own."""
    return [layer_from_tree({"/base": b"b" * 5000}), layer_from_tree({"/app": app})]


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    store = ImageStore(tmp_path / "store")
    store.add_image(ONE, layers(b"1"), CONFIG)
    store.add_image(TWO, layers(b"2"), CONFIG)
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
    listing: bool = False,
) -> Loader:
    say = said.append if said is not None else lambda _text: None
    retention = Retention() if keep is None else Retention("apps.slipway.internal/", keep)
    return Loader(store, machine, say, pinned, machine.containerd, retention, listing)


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
    assert (len(said), len(machine.archives)) == (1, 1)


def test_a_node_gets_only_the_blobs_that_it_lacks(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    outcome = loader(store, machine).load([TWO])
    two = stored(store, TWO)
    sent = {two.manifest_digest, two.config_digest, two.layers[1].digest}
    assert set(machine.archives[1]) == names(*sent)
    assert outcome.bytes_sent == sum(two.blobs[digest] for digest in sent)
    assert machine.has(two)


@pytest.mark.parametrize("there", [[ONE], [ONE, TWO]])
def test_a_name_with_another_digest_is_loaded_again(
    store: ImageStore, machine: Machine, there: list[str]
) -> None:
    loader(store, machine).load(there)
    old = stored(store, ONE)
    new = store.add_image(ONE, layers(b"2"), CONFIG)
    assert new.manifest_digest == stored(store, TWO).manifest_digest
    outcome = loader(store, machine, listing=True).load([ONE])
    assert outcome.loaded == [ONE]
    assert outcome.before == {ONE: f"{old.manifest_digest} pinned"}
    assert outcome.after == {ONE: f"{new.manifest_digest} pinned"}
    assert machine.has(new)


def test_an_image_that_lost_its_pin_is_pinned_again(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    machine.edit("images.json", lambda images: images[ONE].update(labels={}))
    assert loader(store, machine, pinned=False).load([ONE]).loaded == []
    assert loader(store, machine).load([ONE]).loaded == [ONE]
    one = stored(store, ONE)
    assert set(machine.archives[1]) == names(one.manifest_digest, one.config_digest)
    assert machine.has(one)


def test_nothing_is_pinned_unless_asked(store: ImageStore, machine: Machine) -> None:
    loader(store, machine, pinned=False).load([ONE])
    assert machine.images()[ONE] == NodeImage(stored(store, ONE).manifest_digest, pinned=False)


def test_an_image_that_someone_removed_comes_back(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    machine.edit("images.json", lambda images: images.pop(ONE))
    assert loader(store, machine).load([ONE]).loaded == [ONE]
    assert machine.has(stored(store, ONE))


@pytest.mark.parametrize("ref", [ONE, TWO])
def test_a_blob_that_is_listed_but_gone_is_sent_and_stored_again(
    store: ImageStore, machine: Machine, ref: str
) -> None:
    loader(store, machine).load([ONE])
    machine.lose(stored(store, ONE).layers[0].digest)
    assert loader(store, machine).load([ref]).loaded == [ref]
    assert machine.has(stored(store, ref))
    assert machine.has(stored(store, ONE))
    assert len(machine.archives) == 2


def test_an_image_that_is_incomplete_is_listed_as_that(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    one = stored(store, ONE)
    machine.lose(one.layers[0].digest)
    outcome = loader(store, machine, listing=True).load([ONE])
    assert set(machine.archives[1]) == names(
        one.manifest_digest, one.config_digest, one.layers[0].digest
    )
    assert outcome.before == {ONE: f"{one.manifest_digest} pinned incomplete"}
    assert outcome.after == {ONE: f"{one.manifest_digest} pinned"}


def test_a_blob_that_containerd_dropped_is_sent_again(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    one = stored(store, ONE)
    machine.edit("listed", lambda listed: listed.pop(one.layers[1].digest))
    assert loader(store, machine).load([ONE]).bytes_sent == one.size - one.layers[0].size
    assert machine.has(one)


def test_an_image_that_is_not_unpacked_is_unpacked(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE])
    one = stored(store, ONE)
    machine.edit("snapshots", lambda snapshots: snapshots.popitem())
    assert not machine.has(one)
    assert loader(store, machine).load([ONE]).loaded == [ONE]
    assert set(machine.archives[1]) == names(one.manifest_digest, one.config_digest)
    assert machine.has(one)


@pytest.mark.parametrize("fault", ["damaged", "unknown to containerd"])
def test_a_blob_whose_file_is_of_no_use_is_found_out_and_stored_again(
    store: ImageStore, machine: Machine, fault: str
) -> None:
    loader(store, machine).load([ONE])
    two = stored(store, TWO)
    base = two.layers[0].digest
    if fault == "damaged":
        machine.edit("snapshots", lambda snapshots: snapshots.clear())
        machine.file(base).write_bytes(b"damaged")
    else:
        machine.edit("listed", lambda listed: listed.pop(base))
    said: list[str] = []
    outcome = loader(store, machine, said).load([TWO])
    assert [set(archive) for archive in machine.archives[1:]] == [
        names(*two.blobs.keys() - {base}),
        names(*two.blobs),
    ]
    assert said[1] == f"worker1: incomplete, {readable(two.size)} again in full"
    assert outcome.bytes_sent == two.size + two.size - two.layers[0].size
    assert hashlib.sha256(machine.file(base).read_bytes()).hexdigest() == base[7:]
    assert machine.has(two)


@pytest.mark.parametrize("lost", [11_000, 20_000])
def test_a_stream_that_is_cut_off_leaves_no_image_and_the_next_run_mends_it(
    store: ImageStore, machine: Machine, lost: int
) -> None:
    one = stored(store, ONE)
    loader(store, machine).load([TWO])
    machine.lost_on_the_way = lost
    with pytest.raises(SlipwayError, match=f"has no complete {ONE} after the import"):
        loader(store, machine, keep=frozenset()).load([ONE])
    assert not machine.has(one)
    assert TWO in machine.names()
    machine.lost_on_the_way = 0
    loader(store, machine).load([ONE])
    assert machine.has(one)


def test_the_nodes_client_is_started_no_more_than_needed(
    store: ImageStore, machine: Machine
) -> None:
    load = ["images import", "content ls"]
    ready = ["images ls", "content ls", "snapshots ls"]
    loader(store, machine).load([ONE])
    assert machine.calls() == load
    loader(store, machine).load([ONE])
    assert machine.calls() == ready
    loader(store, machine).load([ONE, TWO])
    assert machine.calls() == [*ready, *load]
    loader(store, machine, keep={TWO}).load([ONE])
    assert machine.calls() == ["images ls", *ready]
    loader(store, machine, keep={ONE, TWO}).load([])
    assert machine.calls() == ["images ls"]
    loader(store, machine, keep=frozenset()).load([])
    removal = ["images ls", "images ls", "containers ls", "images rm"]
    assert machine.calls() == ["images ls", *removal]


def test_a_containerd_that_cannot_label_on_import_labels_afterwards(
    store: ImageStore, machine: Machine
) -> None:
    (machine.root / "1.7").touch()
    assert loader(store, machine).load([ONE, TWO]).loaded == [ONE, TWO]
    load = ["images import", "images import", "images label", "images label", "content ls"]
    assert machine.calls() == load
    assert len(machine.archives) == 1
    assert machine.has(stored(store, ONE))
    assert machine.has(stored(store, TWO))


def test_five_hundred_images_are_asked_for_and_removed_at_once(machine: Machine) -> None:
    def digest(*of: object) -> str:
        return f"sha256:{hashlib.sha256(repr(of).encode()).hexdigest()}"

    def image(number: int) -> Image:
        name = f"apps.slipway.internal/{'long-' * 12}name:feature-{'long-' * 12}{number}"
        manifest, config, *layers = (Descriptor("x", digest(number, at), 1) for at in range(8))
        return Image(name, "linux/amd64", manifest, config, tuple(layers))

    images = [image(number) for number in range(500)]
    labels = {PINNED: "pinned"}
    there = {each.ref: {"digest": each.manifest_digest, "labels": labels} for each in images}
    (machine.root / "images.json").write_text(json.dumps(there))
    machine.file(images[0].manifest_digest).parent.mkdir(parents=True)
    for each in images:
        machine.file(each.manifest_digest).touch()
    containerd, names = machine.containerd, list(there)
    state = read_probe(machine.run(containerd.probe(images, pinned=True)))
    assert state is not None
    assert state.found == set(names)
    assert machine.run(containerd.have_blobs(images)).code != 0
    found = read_images(machine.run(containerd.aliases(names)))
    removals = plan_removals(found, names, staying=[])
    assert read_removed(machine.run(containerd.remove(removals))) == set(names)
    probe, aliases = ["images ls", "content ls", "snapshots ls"], ["images ls", "images ls"]
    assert machine.calls() == [*probe, "content ls", *aliases, "containers ls", "images rm"]


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
    assert machine.has(two)
    assert machine.has(one)


@pytest.mark.parametrize("version", ["1.7", "2.4"])
def test_an_import_that_fails_twice_ends_with_what_ctr_said(
    store: ImageStore, machine: Machine, version: str
) -> None:
    machine.root.joinpath(version).touch()
    machine.root.joinpath("broken").touch()
    with pytest.raises(SlipwayError) as caught:
        loader(store, machine).load([ONE])
    assert str(caught.value) == (
        f"worker1: has no complete {ONE} after the import; it said\n"
        "    | ctr: no space left on device"
    )
    assert len(machine.archives) == 2
    machine.root.joinpath("broken").unlink()
    assert loader(store, machine).load([ONE]).loaded == [ONE]


def test_a_node_whose_containerd_is_down_says_so(store: ImageStore, machine: Machine) -> None:
    machine.root.joinpath("down").touch()
    for refs in ([ONE], []):
        with pytest.raises(SlipwayError, match=r"worker1: cannot say .*(\n.*)*ctr: failed to dial"):
            loader(store, machine, keep=frozenset()).load(refs)
    assert machine.archives == []
    with pytest.raises(
        SlipwayError, match=r"worker1: has no complete .*(\n.*)*ctr: failed to dial"
    ):
        loader(store, machine).load([ONE])


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
    machine.calls()
    outcome = loader(store, machine, listing=True).preview([ONE, TWO, "a.b/c:1"])
    two = stored(store, TWO)
    assert outcome.loaded == [TWO, "a.b/c:1"]
    assert outcome.bytes_sent == two.size - two.layers[0].size
    assert outcome.before == {ONE: f"{stored(store, ONE).manifest_digest} pinned"}
    assert outcome.after == {
        **outcome.before,
        TWO: f"{two.manifest_digest} pinned",
        "a.b/c:1": "not known yet",
    }
    assert machine.calls() == ["images ls", "images ls", "content ls", "snapshots ls"]


def test_a_preview_works_before_node_and_store_are_there(machine: Machine) -> None:
    machine.root.joinpath("down").touch()
    nowhere = ImageStore(machine.root / "none")
    assert loader(nowhere, machine).preview([ONE]).loaded == [ONE]
    assert not nowhere.root.exists()


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
    assert machine.trips == trips + 3
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
    outcome = loader(store, machine, keep=frozenset(), listing=True).load([ONE])
    assert (outcome.removed, outcome.loaded) == ([TWO], [])
    assert outcome.before == {**outcome.after, TWO: stored(store, TWO).manifest_digest}
    assert outcome.after.keys() == {ONE}
    assert TWO not in machine.names()
    assert loader(store, machine, keep=frozenset()).load([ONE]).removed == []


def test_an_image_that_a_container_has_stays(store: ImageStore, machine: Machine) -> None:
    loader(store, machine).load([ONE, TWO])
    (machine.root / "containers").write_text(json.dumps([stored(store, ONE).config_digest]))
    machine.calls()
    assert loader(store, machine, keep=frozenset()).preview([]).removed == [TWO]
    assert "images rm" not in machine.calls()
    assert loader(store, machine, keep=frozenset()).load([]).removed == [TWO]
    assert loader(store, machine, keep=frozenset()).preview([]).removed == []
    assert loader(store, machine, keep=frozenset()).load([]).removed == []
    assert machine.has(stored(store, ONE))


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


def test_nothing_is_removed_unless_all_names_of_an_image_are_known(
    store: ImageStore, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader(store, machine).load([ONE])
    aliases = Containerd.aliases
    monkeypatch.setattr(Containerd, "aliases", lambda *args: f"{aliases(*args)}; exit 1")
    assert loader(store, machine, keep=frozenset()).load([]).removed == []
    assert ONE in machine.names()
    monkeypatch.undo()
    assert loader(store, machine, keep=frozenset()).load([]).removed == [ONE]


def test_the_id_of_an_image_stays_with_a_name_that_comes(
    store: ImageStore, machine: Machine
) -> None:
    loader(store, machine).load([ONE])
    same = store.add_image(THREE, layers(b"1"), CONFIG)
    assert same.manifest_digest == stored(store, ONE).manifest_digest
    assert loader(store, machine, keep=frozenset()).load([THREE]).removed == [ONE]
    assert machine.names() == {THREE, same.config_digest}


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
    assert other.has(stored(store, TWO))

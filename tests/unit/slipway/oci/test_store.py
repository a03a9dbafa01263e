"""The image store: what counts as stored, several at once, and house-keeping."""

from __future__ import annotations

import errno
import io
import json
import multiprocessing
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from slipway.errors import SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.oci_stores import CONFIG, REF, add, blob


def test_the_same_input_gives_the_same_digests(tmp_path: Path) -> None:
    config = ImageConfig(
        entrypoint=["/a"], cmd=["-v"], env={"B": "2", "A": "1"}, user="65532", workdir="/w",
        ports=[8080, "53/udp"], labels={"k": "v"}, architecture="amd64",
    )  # fmt: skip
    one, two = (
        ImageStore(tmp_path / name).add_image(REF, [layer_from_tree({"/a": b"1"})], config)
        for name in ("one", "two")
    )
    assert one == two
    written = json.loads(blob(ImageStore(tmp_path / "one"), one.config_digest).read_bytes())
    assert (written["os"], written["architecture"]) == ("linux", "amd64")
    assert written["rootfs"]["diff_ids"] == [one.layers[0].digest]
    assert written["config"] == {
        "Entrypoint": ["/a"],
        "Cmd": ["-v"],
        "Env": ["A=1", "B=2"],
        "User": "65532",
        "WorkingDir": "/w",
        "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
        "Labels": {"k": "v"},
    }


def test_another_config_gives_another_image_of_the_same_layers(store: ImageStore) -> None:
    layer = layer_from_tree({"/a": b"1"})
    one = store.add_image("a.b/c:1", [layer], CONFIG)
    two = store.add_image("a.b/c:2", [layer], ImageConfig(cmd=["/a"], architecture="amd64"))
    assert one.layers == two.layers
    assert one.manifest_digest != two.manifest_digest


def test_a_new_image_takes_the_place_of_the_one_with_its_name(store: ImageStore) -> None:
    add(store, a=b"1")
    image = add(store, a=b"2")
    assert store.images() == {REF: image}


def test_a_store_that_is_not_there_is_empty_and_stays_away(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "none")
    assert (store.images(), store.get(REF), store.collect_garbage()) == ({}, None, 0)
    assert not store.root.exists()


@pytest.mark.parametrize("ref", ["", "greeter:1", "team/greeter:1", "a.b/c", "a.b/C:1", "a.b/c:"])
def test_a_reference_that_nodes_would_not_find_is_refused(store: ImageStore, ref: str) -> None:
    with pytest.raises(SlipwayError, match="not a full image reference"):
        add(store, ref, a=b"1")
    assert not store.root.exists()


def test_an_image_that_lost_a_blob_is_not_stored_until_it_is_added_again(
    store: ImageStore,
) -> None:
    image = add(store, a=b"1", b=b"2")
    blob(store, image.layers[0].digest).unlink()
    assert store.get(REF) is None
    with pytest.raises(SlipwayError, match=f"{REF}: is not in the image store"):
        store.write_archive([REF], io.BytesIO())
    assert add(store, a=b"1", b=b"2") == image == store.get(REF)


def test_damage_is_found_by_a_check_and_on_the_way_out(store: ImageStore) -> None:
    image = add(store, a=b"1", b=b"2")
    damaged = image.layers[1].digest
    path = blob(store, damaged)
    path.write_bytes(b"!" + path.read_bytes()[1:])
    assert store.verify(REF) == [damaged]
    with pytest.raises(SlipwayError, match=f"{damaged} is damaged; it has been removed"):
        store.write_archive([REF], io.BytesIO())
    assert store.get(REF) is None
    assert add(store, a=b"1", b=b"2") == image
    assert store.verify(REF) == []


def test_a_damaged_manifest_makes_an_image_not_stored(store: ImageStore) -> None:
    blob(store, add(store, a=b"1").manifest_digest).write_bytes(b"{}")
    assert store.images() == {}


def test_a_broken_index_is_said_so(store: ImageStore) -> None:
    add(store, a=b"1")
    (store.root / "index.json").write_text("{")
    with pytest.raises(SlipwayError, match=r"index\.json: is no image index"):
        store.images()


def disk_with(free: int) -> Callable[[Path], Any]:
    """What Python says of a disk with ``free`` bytes left."""
    return lambda _path: SimpleNamespace(free=free)


def test_an_archive_for_which_there_is_no_room_is_not_begun(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = add(store, a=bytes(20_000))
    archive = tmp_path / "image.tar"
    with archive.open("wb") as out:
        store.write_archive([REF], out)
    other = ImageStore(tmp_path / "other")
    monkeypatch.setattr("shutil.disk_usage", disk_with(free=20_000))
    with pytest.raises(SlipwayError, match=r"20\.0 kB free, and .* kB are to be .*; nothing was"):
        other.add_archive(archive, REF, "linux/amd64")
    assert list((other.root / "blobs/sha256").iterdir()) == []
    monkeypatch.setattr("shutil.disk_usage", disk_with(free=archive.stat().st_size))
    assert other.add_archive(archive, REF, "linux/amd64") == image


@pytest.mark.parametrize("from_archive", [False, True])
def test_a_disk_that_fills_up_leaves_whole_images_and_says_so(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_archive: bool
) -> None:
    small = add(store, a=b"1")
    larger = ImageStore(tmp_path / "source")
    archive = tmp_path / "image.tar"
    image = add(larger, f"{REF}-large", a=bytes(200_000))
    with archive.open("wb") as out:
        larger.write_archive([image.ref], out)

    def fail(*_: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    place = "slipway.oci.blobs.copy" if from_archive else "slipway.oci.blobs.HashingWriter.write"
    monkeypatch.setattr(place, fail)
    with pytest.raises(SlipwayError, match="has no room left; what is stored is whole"):
        if from_archive:
            store.add_archive(archive, image.ref, "linux/amd64")
        else:
            add(store, image.ref, a=bytes(200_000))
    monkeypatch.undo()
    assert store.images() == {REF: small}
    assert list((store.root / "tmp").iterdir()) == []
    assert store.add_archive(archive, image.ref, "linux/amd64") == image


def test_an_image_gets_one_more_reference(store: ImageStore) -> None:
    image = add(store, a=b"1")
    store.name(REF, "a.b/c:other")
    assert store.images() == {REF: image, "a.b/c:other": replace(image, ref="a.b/c:other")}
    with pytest.raises(SlipwayError, match="is not in the image store"):
        store.name("a.b/c:none", "a.b/c:more")


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_of_an_archive_a_store_takes_what_is_for_its_platform(
    store: ImageStore, tmp_path: Path, architecture: str
) -> None:
    config = ImageConfig(architecture=architecture)
    image = store.add_image(REF, [layer_from_tree({"/a": b"1"})], config)
    platform = f"linux/{architecture}"
    assert ImageStore(tmp_path / "own", platform).add_archive(store.root, REF) == image
    other = ImageStore(tmp_path / "other", "linux/s390x")
    with pytest.raises(SlipwayError, match=f"no image for linux/s390x; it has {platform}"):
        other.add_archive(store.root, REF)


def test_several_images_are_taken_off_the_list_at_once(store: ImageStore) -> None:
    kept = add(store, "a.b/c:1", a=b"1")
    gone = [add(store, f"a.b/c:{number}", a=b"2") for number in (2, 3)]
    foreseen = store.garbage([kept])
    assert foreseen > store.garbage([kept, *gone]) == 0
    assert store.remove(*(image.ref for image in gone)) is True
    assert foreseen == store.collect_garbage()
    assert store.images() == {"a.b/c:1": kept}


def _add_some(root: Path, who: int) -> None:
    store = ImageStore(root)
    for number in range(5):
        add(store, f"a.b/c{who}:{number}", a=bytes([who]), b=bytes([number]))
        store.collect_garbage()


def test_processes_that_add_at_once_lose_nothing(store: ImageStore) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_some, args=(store.root, who)) for who in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted(store.images()) == [f"a.b/c{who}:{n}" for who in range(3) for n in range(5)]
    assert all(store.verify(ref) == [] for ref in store.images())


def test_a_large_image_never_sits_in_memory(store: ImageStore, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        store.add_image(REF, [layer_from_tree({"/large": large})], CONFIG)
        with (tmp_path / "out.tar").open("wb") as out:
            store.write_archive([REF], out)
        other = ImageStore(tmp_path / "other")
        assert other.add_archive(tmp_path / "out.tar", REF, "linux/amd64").size > 64 << 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20

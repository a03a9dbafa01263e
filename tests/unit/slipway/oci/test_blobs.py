"""Blobs that nobody needs, and those that somebody adds."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from typing import IO

import pytest

from slipway.errors import SlipwayError
from slipway.oci import ImageStore, Layer, layer_from_tree
from tests.support.oci_stores import CONFIG, REF, add, blob


def test_garbage_that_cannot_be_collected_at_once_may_wait(store: ImageStore) -> None:
    image = add(store, a=b"1")
    store.remove(REF)
    with (store.root / "blobs.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert store.collect_garbage(wait=False) == 0
    assert store.collect_garbage(wait=False) == image.size


def test_garbage_is_what_no_image_and_no_writer_needs(store: ImageStore) -> None:
    kept = add(store, "a.b/c:1", shared=b"1")
    gone = add(store, "a.b/c:2", shared=b"1", own=b"22")
    (store.root / "tmp/left").write_bytes(b"123")
    assert store.collect_garbage() == 3
    assert store.remove("a.b/c:2") is True
    assert store.remove("a.b/c:2") is False
    own = {digest: size for digest, size in gone.blobs.items() if digest not in kept.blobs}
    assert store.collect_garbage() == sum(own.values())
    assert store.images() == {"a.b/c:1": kept}
    assert store.verify("a.b/c:1") == []
    assert not any(blob(store, digest).exists() for digest in own)


def test_a_layer_that_fails_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="is not there"):
        store.add_image(REF, [layer_from_tree({"/a": tmp_path / "none"})], CONFIG)
    assert list((store.root / "tmp").iterdir()) == []
    assert store.images() == {}


def test_garbage_collection_waits_for_an_image_being_added(store: ImageStore) -> None:
    writing, finish = threading.Event(), threading.Event()

    def slow(out: IO[bytes]) -> None:
        writing.set()
        assert finish.wait(10)
        layer_from_tree({"/slow": b"1"}).write(out)

    layers = [layer_from_tree({"/first": b"1"}), Layer(slow)]
    adder = threading.Thread(target=store.add_image, args=(REF, layers, CONFIG))
    collector = threading.Thread(target=store.collect_garbage)
    adder.start()
    assert writing.wait(10)
    collector.start()
    collector.join(0.2)
    assert collector.is_alive()
    finish.set()
    adder.join(10)
    collector.join(10)
    assert store.verify(REF) == []

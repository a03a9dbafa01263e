"""Images and their identifiers."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.oci import ImageStore
from tests.support.oci_samples import Layout, digest_of, tar_of
from tests.support.oci_stores import REF, add, blob


def test_a_chain_id_is_that_of_all_layers_on_each_other(store: ImageStore) -> None:
    assert store.chain_id(image := add(store, a=b"1")) == image.layers[0].digest
    image = add(store, a=b"1", b=b"2", c=b"3")
    one, two, three = (layer.digest for layer in image.layers)
    both = digest_of(f"{one} {two}".encode())
    assert store.chain_id(image) == digest_of(f"{both} {three}".encode())


def test_a_chain_id_is_that_of_layers_as_they_are_when_unpacked(
    store: ImageStore, tmp_path: Path
) -> None:
    layer, layout = tar_of({"a": b"1"}), Layout()
    (tmp_path / "image.tar").write_bytes(tar_of(layout.finish(layout.image(layer))))
    image = store.add_archive(tmp_path / "image.tar", REF, "linux/amd64")
    top = digest_of(tar_of({"top": layer}))
    assert top != image.layers[1].digest
    assert store.chain_id(image) == digest_of(f"{digest_of(layer)} {top}".encode())


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_an_image_without_its_config_has_no_chain_id(
    store: ImageStore, content: bytes | None
) -> None:
    image = add(store, a=b"1")
    path = blob(store, image.config_digest)
    path.unlink()
    if content:
        path.write_bytes(content)
    assert store.chain_id(image) is None

"""Digests of images as templates ask for them."""

from __future__ import annotations

from pathlib import Path

from plugins.filter import image_digest
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.filters import rendered

REF = "apps.slipway.internal/greeter:main"
EXPRESSION = f"'{REF}' | image_digest(store)"


def test_an_image_s_digest_is_that_of_its_manifest(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    image = store.add_image(REF, [layer_from_tree({"/a": b"a"})], ImageConfig())
    assert image.manifest_digest.startswith("sha256:")
    assert rendered(image_digest, EXPRESSION, store=str(tmp_path)) == image.manifest_digest


def test_an_image_that_is_not_in_the_store_has_no_digest(tmp_path: Path) -> None:
    assert rendered(image_digest, EXPRESSION, store=str(tmp_path / "none")) == ""
    assert list(tmp_path.iterdir()) == []

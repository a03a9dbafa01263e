"""Images in a store, made by the code under test."""

from __future__ import annotations

from pathlib import Path

from slipway.oci import Image, ImageConfig, ImageStore, layer_from_tree

REF = "apps.slipway.internal/greeter:main"
CONFIG = ImageConfig(architecture="amd64")


def blob(store: ImageStore, digest: str) -> Path:
    """Where a store keeps a blob."""
    return store.root / "blobs/sha256" / digest.removeprefix("sha256:")


def add(store: ImageStore, ref: str = REF, **files: bytes) -> Image:
    """An image with one layer per file."""
    layers = [layer_from_tree({f"/{name}": content}) for name, content in files.items()]
    return store.add_image(ref, layers, CONFIG)

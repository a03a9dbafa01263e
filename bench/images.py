"""Images of random data, which no compression makes smaller, the same each time."""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from slipway.oci import Image, ImageConfig, ImageStore, Layer, layer_from_tree
from slipway.oci.model import CONFIG, INDEX, MANIFEST, Descriptor, Manifest

REPOSITORY = "bench.slipway.internal"

TOP_SIZE = 500_000
"""Bytes of the layer that changes, as the classes of a service have."""


@dataclass(frozen=True)
class Shape:
    """An image: what it is called, its size in bytes, its number of layers."""

    name: str
    size: int
    layers: int


def random_layer(name: str, size: int) -> Layer:
    """A layer of one file of ``size`` bytes that are different for every ``name``."""

    def write(out: IO[bytes]) -> None:
        content = random.Random(name).randbytes(size)
        layer_from_tree({f"/{name}": content}).write(out)

    return Layer(write)


def add_image(store: ImageStore, shape: Shape) -> Image:
    """Store the first version of an image."""
    below = shape.layers - 1
    size = (shape.size - TOP_SIZE) // below
    layers = [random_layer(f"{shape.name}-{number}", size) for number in range(below)]
    repository = f"{REPOSITORY}/{shape.name}"
    return store.add_image(f"{repository}:0", [*layers, _top(repository, 0)], ImageConfig())


def add_version(store: ImageStore, first: Image, number: int) -> Image:
    """Store a version of an image that differs in the top layer; nothing else is written."""
    repository = first.ref.rpartition(":")[0]
    passing = f"{repository}-top:{number}"
    [top] = store.add_image(passing, [_top(repository, number)], ImageConfig()).layers
    layers = (*first.layers[:-1], top)
    config = ImageConfig().as_blob([layer.digest for layer in layers])
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder)
        manifest = Manifest(_put(archive, CONFIG, config), layers).as_blob()
        index = {"schemaVersion": 2, "manifests": [_put(archive, MANIFEST, manifest).as_json()]}
        (archive / "index.json").write_text(json.dumps({**index, "mediaType": INDEX}))
        image = store.add_archive(archive, f"{repository}:{number}")
    store.remove(passing)
    return image


def _top(repository: str, number: int) -> Layer:
    """The layer in which a version differs from all others."""
    return random_layer(f"{repository.rpartition('/')[2]}-version-{number}", TOP_SIZE)


def _put(archive: Path, media_type: str, content: bytes) -> Descriptor:
    """Write a blob into an OCI layout directory."""
    digest = hashlib.sha256(content).hexdigest()
    blobs = archive / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(content)
    return Descriptor(media_type, f"sha256:{digest}", len(content))

"""Images as files: an OCI image layout directory and the archives that go in and out of it.

The formats are those of the OCI image specification 1.1 (image-layout, manifest, config, layer)
and of ``docker save``.
"""

from __future__ import annotations

from slipway.oci.layers import Layer, TreeEntry, layer_from_tar, layer_from_tree
from slipway.oci.model import Image, ImageConfig, machine_platform
from slipway.oci.store import ImageStore

__all__ = [
    "Image",
    "ImageConfig",
    "ImageStore",
    "Layer",
    "TreeEntry",
    "layer_from_tar",
    "layer_from_tree",
    "machine_platform",
]

"""Digests of images in a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from slipway.oci import ImageStore


def image_digest(ref: str, store: str) -> str:
    """The digest of the image's manifest; empty for an image that is not in the store."""
    image = ImageStore(Path(store)).get(ref)
    return image.manifest_digest if image else ""


class FilterModule:
    """Ansible's way to the filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Filters by name."""
        return {"image_digest": image_digest}

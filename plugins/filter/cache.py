"""Places in the cache, for modules that take more than the cache alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from slipway.cache.layout import CacheLayout


def cached_images(cache: str, architecture: str) -> str:
    """Return the image store of the cache for nodes of an architecture."""
    return str(CacheLayout(Path(cache)).images_of(architecture))


def cluster_claims(cache: str, cluster: str) -> str:
    """Return the file of what a cluster claims of the cache."""
    return str(CacheLayout(Path(cache)).claims_of(cluster))


class FilterModule:
    """Ansible's way to the filters."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Filters by name."""
        return {"cached_images": cached_images, "cluster_claims": cluster_claims}

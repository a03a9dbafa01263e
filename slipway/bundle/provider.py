"""Where a bundle comes from, and the one way to have it.

A provider knows how to fill a bundle directory; nothing else in the product can tell which one
did. ``source`` builds from Go modules and Debian packages, ``archive`` unpacks what was built, and
``upstream`` downloads what others publish and builds the rest.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slipway.bundle import manifest
from slipway.cache.layout import CacheLayout
from slipway.files import settle
from slipway.locks import locked


class Provider(Protocol):
    """Fills a bundle directory, laid out as the package's description says."""

    @property
    def key(self) -> str:
        """A digest of everything that decides the bundle's content."""

    def fill(self, into: Path, say: Callable[[str], None]) -> Mapping[str, object]:
        """Put everything below ``into``; return what to record about it.

        Raises SlipwayError when something cannot be had.
        """


@dataclass(frozen=True)
class Bundle:
    """A bundle that is as its manifest says."""

    path: Path
    made: bool
    """Whether it had to be made (or made again) just now."""


def bundle_path(provider: Provider, cache: CacheLayout) -> Path:
    """Return the folder of the provider's bundle in the cache."""
    return cache.bundles / provider.key[:16]


def ensure(
    provider: Provider,
    cache: CacheLayout,
    say: Callable[[str], None],
    *,
    check: bool = False,
    why: str = "",
) -> Bundle:
    """Return the provider's bundle in the cache, checked file by file, made if need be.

    With ``check`` nothing is made: ``made`` then says whether it would have to be. ``why`` is said
    of a provider that makes one.
    """
    path = bundle_path(provider, cache)
    damaged = manifest.damaged(path)
    if damaged == []:
        return Bundle(path, made=False)
    if check:
        return Bundle(path, made=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(cache.bundle_lock, "the bundle"):
        if manifest.damaged(path) == []:  # somebody else made it while this one waited
            return Bundle(path, made=False)
        if damaged:
            say(f"damaged, making the bundle anew: {', '.join(damaged)}")
        unfinished = path.with_name(f"{path.name}.unfinished")
        for leftover in (unfinished, path):
            shutil.rmtree(leftover, ignore_errors=True)
        if why:
            say(why)
        unfinished.mkdir()
        try:
            manifest.write(unfinished, dict(provider.fill(unfinished, say)))
            settle(unfinished, path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return Bundle(path, made=True)

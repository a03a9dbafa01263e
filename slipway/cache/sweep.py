"""What of the cache may go: images, sources and bundles that no cluster needs any more.

The cache is shared by all clusters and checkouts of a user. Each cluster has a file that claims
what it needs, and nothing that is claimed goes. What a cluster gave up goes at once; what nobody
ever claimed may belong to a run that has not come so far, and goes when it is old.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from slipway.cache.claims import Claimant, Claims
from slipway.cache.layout import APPS, BASES, CacheLayout
from slipway.oci import Image, ImageStore

DAY = 24 * 60 * 60.0
"""Seconds after which something that nobody claims is nobody's."""

WEEK = 7 * DAY
"""The same for what is slow to make again: bundles, their parts, base images, git mirrors."""

MONTH = 30 * DAY
"""How long what a builder made stays at hand for its next builds; nothing tells what it needs."""

CLAIM_SECONDS = 90 * DAY
"""How long a cluster's claims hold that no run renews: it is gone, and was not removed."""

PartsOf = Callable[[Path], Collection[str] | None]
"""Names the parts that a bundle was made of; None where the bundle does not say."""


@dataclass
class Swept:
    """What went, or would go, by name, and the bytes that it had on the disk."""

    images: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    bytes_freed: int = 0


def sweep(
    cluster: Claimant,
    claims: Claims,
    parts_of: PartsOf,
    *,
    check: bool = False,
    now: Callable[[], float] = time.time,
) -> Swept:
    """Have the cluster claim no more than ``claims`` and remove what nobody needs.

    A ``check`` only tells what would go. While somebody builds, all stays for the next time: a
    build counts on the blobs that the store had when it began. ``now`` gives the time in seconds
    since the epoch.
    """
    cache = cluster.cache
    with nullcontext() if check else cluster.alone():
        before, moment = cluster.claims(), now()
        is_busy = any(_age(path, moment) < DAY for path in _in(cache.work))
        if not check:
            cluster.write(before.and_also(claims) if is_busy else claims)
        if is_busy:
            return Swept()
        others = [path for path in cache.claims.glob("*.json") if path != cluster.file]
        lapsed = [path for path in others if _age(path, moment) > CLAIM_SECONDS]
        held = [Claims.read(path) for path in others if path not in lapsed]
        sweeper = _Sweeper(cache, [claims, *held], before, lapsed, parts_of, moment, check)
        sweeper.sweep()
    return sweeper.swept


@dataclass
class _Sweeper:
    """One sweep.

    ``before`` is what the cluster claimed until now, and ``lapsed`` the files of claims that do not
    hold any more.
    """

    cache: CacheLayout
    claims: list[Claims]
    before: Claims
    lapsed: list[Path]
    parts_of: PartsOf
    now: float
    check: bool
    swept: Swept = field(default_factory=Swept)

    def sweep(self) -> None:
        """Remove what nobody needs."""
        self._sweep_notes(self._sweep_images())
        self._sweep_sources()
        self._sweep_builders()
        self._sweep_bundles()
        self._remove_older(DAY, _in(self.cache.work))
        for path in self.lapsed:
            self._remove(path)

    def _remove_older(self, seconds: float, paths: Iterable[Path]) -> None:
        """Remove those of the paths that did not change for so long."""
        for path in paths:
            if self._age(path) > seconds:
                self._remove(path)

    def _sweep_images(self) -> list[Image]:
        """Remove images from all stores; return those that stay."""
        return [each for path in self.cache.image_stores() for each in self._sweep_store(path)]

    def _sweep_store(self, path: Path) -> list[Image]:
        """Remove images from a store; return those that stay."""
        store = ImageStore(path)
        claimed = {ref for claims in self.claims for ref in claims.images}
        images = [*store.images().values()]
        apps = [image for image in images if image.ref.startswith(APPS)]
        gone = [
            image
            for image in apps
            if image.ref not in claimed
            and (image.ref in self.before.images or self.now - store.stored_at(image) > DAY)
        ]
        built_on = [image.layers for image in apps if image not in gone]
        gone += [
            base
            for base in images
            if base.ref.startswith(BASES)
            and self.now - store.stored_at(base) > WEEK
            and not any(layers[: len(base.layers)] == base.layers for layers in built_on)
        ]
        refs = {image.ref for image in gone}
        self.swept.images = sorted({*self.swept.images, *refs})
        if gone and not self.check:
            store.remove(*refs)
        left = [image for image in images if image not in gone]
        freed = store.garbage(left) if self.check else store.collect_garbage(wait=False)
        self.swept.bytes_freed += freed
        return left

    def _sweep_notes(self, images: Iterable[Image]) -> None:
        """Forget which image came of a build when that image is gone; others when they are old."""
        self._remove_older(MONTH, _in(self.cache.named_images))
        there = {image.manifest_digest for image in images}
        for path in _in(self.cache.build_notes):
            is_whole = path.suffix == ".json"
            if _digest_noted(path) not in there if is_whole else self._age(path) > DAY:
                self._remove(path)

    def _sweep_sources(self) -> None:
        """Remove work trees that nobody claims, then the mirrors that have no work tree left."""
        claimed = {path for claims in self.claims for path in claims.sources}
        for repository in _in(self.cache.sources):
            trees = _in(repository)
            for tree in trees:
                if self._name(tree) not in claimed and self._age(tree) > DAY:
                    self._remove(tree)
            if not trees and self._age(repository) > DAY:
                self._remove(repository)
        for path in _in(self.cache.mirrors):
            is_mirror = path.suffix == ".git"
            has_trees = is_mirror and self.cache.work_trees(path.stem).exists()
            if not has_trees and self._age(path) > (WEEK if is_mirror else DAY):
                self._remove(path)

    def _sweep_builders(self) -> None:
        """Remove what builds with Maven and Jib left long ago, and can make or fetch again."""
        cache = self.cache
        for folder in (
            cache.maven,
            cache.maven_extensions,
            cache.maven_distributions,
            cache.certificates,
        ):
            self._remove_older(MONTH, _in(folder))

    def _sweep_bundles(self) -> None:
        """Remove bundles, parts that nothing is made of, old compilers and what was fetched."""
        cache = self.cache
        if not cache.bundles.exists():
            return
        claimed = {name for claims in self.claims for name in claims.bundles}
        with cache.bundle_lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # somebody makes one
                return
            kept = []
            for path in _in(cache.bundles):
                if path in (cache.bundle_lock, cache.bundle_parts):
                    continue
                least = DAY if path.name in self.before.bundles else WEEK
                if path.name in claimed or self._age(path) < least:
                    kept.append(path)
                else:
                    self._remove(path)
            self._sweep_parts(cache.bundle_parts, kept)
            fetched = (*_in(cache.archives), *_in(cache.downloads))
            self._remove_older(MONTH, [*cache.go_toolchains(), *fetched])

    def _sweep_parts(self, parts: Path, bundles: Iterable[Path]) -> None:
        """Remove the parts that none of the bundles was made of."""
        needed: set[str] = set()
        for bundle in bundles:
            made_of = self.parts_of(bundle)
            if made_of is None:
                return
            needed.update(made_of)
        for path in _in(parts):
            if path.name not in needed and self._age(path) > WEEK:
                self._remove(path)

    def _age(self, path: Path) -> float:
        return _age(path, self.now)

    def _name(self, path: Path) -> str:
        """Return a path as claims and results have it, below the cache."""
        return str(path.relative_to(self.cache.root))

    def _remove(self, path: Path) -> None:
        """Remove a file or a folder with all in it."""
        self.swept.files.append(self._name(path))
        self.swept.bytes_freed += _size_of(path)
        if self.check:
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _age(path: Path, now: float) -> float:
    """Return the seconds since something changed; what has just gone is new."""
    try:
        return now - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _in(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing when it is not there."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _digest_noted(path: Path) -> str:
    """Return the digest that a note names, or none when it cannot be read."""
    try:
        return str(json.loads(path.read_text())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _size_of(path: Path) -> int:
    """Return the bytes that go with a file or folder; a file goes with the last of its names."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    states = (file.lstat() for file in files)
    return sum(state.st_size for state in states if state.st_nlink == 1)

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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.oci import Image, ImageStore

DAY = 24 * 60 * 60.0
"""Seconds after which something that nobody claims is nobody's."""

WEEK = 7 * DAY
"""The same for what is slow to make again: bundles, their parts, base images, git mirrors."""

MONTH = 30 * DAY
"""How long what a builder made stays at hand for its next builds; nothing tells what it needs."""

CLAIM_SECONDS = 90 * DAY
"""How long a cluster's claims hold that no run renews: it is gone, and was not removed."""

APPS = "apps.slipway.internal/"
BASES = "bases.slipway.internal/"
"""How the names begin of images that may go; a base stays while an image is built on it."""


@dataclass(frozen=True)
class Claims:
    """What a cluster needs of the cache.

    ``images`` are references, ``sources`` work trees as paths below the cache, and ``bundles`` the
    names of the folders of the bundle in use and of the one before.
    """

    images: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    bundles: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Claims:
        """From its JSON form."""
        return cls(frozenset(value["images"]), frozenset(value["sources"]), tuple(value["bundles"]))

    def and_also(self, more: Claims) -> Claims:
        """All that these and ``more`` claim, with the bundles of ``more``."""
        return Claims(self.images | more.images, self.sources | more.sources, more.bundles)

    def as_json(self) -> str:
        """Its JSON form."""
        sets = {"images": sorted(self.images), "sources": sorted(self.sources)}
        return json.dumps({**sets, "bundles": self.bundles}, indent=1)


@dataclass
class Swept:
    """What went, or would go, by name, and the bytes that it had on the disk."""

    images: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    bytes_freed: int = 0


class Cache:
    """The cache as one cluster uses it.

    ``parts_of`` gives the names of the parts that a bundle was made of, or None where it does not
    say, and ``now`` the time in seconds since the epoch.
    """

    def __init__(
        self,
        root: Path,
        cluster: str,
        parts_of: Callable[[Path], Collection[str] | None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._root = root
        self._parts_of = parts_of
        self._claims = root / "clusters"
        self._file = self._claims / f"{cluster}.json"
        self._now = now

    def needs(self, images: Iterable[str], checkouts: Iterable[Path], bundle: Path) -> Claims:
        """What the cluster claims with these images, this bundle, and work trees of the cache."""
        before = self._read(self._file).bundles
        return Claims(
            frozenset(images),
            frozenset(
                str(path.relative_to(self._root))
                for path in checkouts
                if path.is_relative_to(self._root)
            ),
            tuple(dict.fromkeys([bundle.name, *before]))[:2],
        )

    def claim(self, images: Iterable[str], checkouts: Iterable[Path], bundle: Path) -> None:
        """Claim these beside all that is claimed so far."""
        with self._alone():
            needs = self.needs(images, checkouts, bundle)
            self._write(self._read(self._file).and_also(needs))

    def sweep(self, claims: Claims, *, check: bool = False) -> Swept:
        """Claim no more than ``claims`` and remove what nobody needs; ``check`` only tells.

        While somebody builds, all stays for the next time: a build counts on the blobs that the
        store had when it began.
        """
        with nullcontext() if check else self._alone():
            before, now = self._read(self._file), self._now()
            is_busy = any(_age(path, now) < DAY for path in _in(self._root / "work"))
            if not check:
                self._write(before.and_also(claims) if is_busy else claims)
            if is_busy:
                return Swept()
            others = [
                self._read(path)
                for path in self._claims.glob("*.json")
                if path != self._file and _age(path, now) < CLAIM_SECONDS
            ]
            sweeper = _Sweeper(self._root, [claims, *others], before, self._parts_of, now, check)
            sweeper.sweep()
        return sweeper.swept

    def _read(self, path: Path) -> Claims:
        """What a file claims; raises SlipwayError when it cannot be known."""
        try:
            return Claims.of(json.loads(path.read_text()))
        except FileNotFoundError:
            return Claims()
        except (ValueError, KeyError, TypeError) as error:
            what = f"does not say what a cluster needs: {error!r}"
            raise SlipwayError(
                Problem(str(path), what, "remove it; the next run writes it")
            ) from error

    def _write(self, claims: Claims) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(claims.as_json())
        new.replace(self._file)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes claims or sweeps meanwhile."""
        self._claims.mkdir(parents=True, exist_ok=True)
        with (self._claims / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclass
class _Sweeper:
    """One sweep; ``before`` is what the cluster claimed until now."""

    root: Path
    claims: list[Claims]
    before: Claims
    parts_of: Callable[[Path], Collection[str] | None]
    now: float
    check: bool
    swept: Swept = field(default_factory=Swept)

    def sweep(self) -> None:
        """Remove what nobody needs."""
        self._sweep_notes(self._sweep_images())
        self._sweep_sources()
        self._sweep_builders()
        self._sweep_bundles()
        for path in _in(self.root / "work"):
            if self._age(path) > DAY:
                self._remove(path)

    def _sweep_images(self) -> list[Image]:
        """Remove images; return those that stay."""
        store = ImageStore(self.root / "images")
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
        self.swept.images = sorted(image.ref for image in gone)
        if gone and not self.check:
            store.remove(*self.swept.images)
        left = [image for image in images if image not in gone]
        freed = store.garbage(left) if self.check else store.collect_garbage(wait=False)
        self.swept.bytes_freed += freed
        return left

    def _sweep_notes(self, images: Iterable[Image]) -> None:
        """Forget which image came of a build when that image is gone."""
        there = {image.manifest_digest for image in images}
        for path in _in(self.root / "builds"):
            is_whole = path.suffix == ".json"
            if _digest_noted(path) not in there if is_whole else self._age(path) > DAY:
                self._remove(path)

    def _sweep_sources(self) -> None:
        claimed = {path for claims in self.claims for path in claims.sources}
        for repository in _in(self.root / "source"):
            trees = _in(repository)
            for tree in trees:
                if str(tree.relative_to(self.root)) not in claimed and self._age(tree) > DAY:
                    self._remove(tree)
            if not trees and self._age(repository) > DAY:
                self._remove(repository)
        for path in _in(self.root / "git"):
            is_mirror = path.suffix == ".git"
            has_trees = is_mirror and (self.root / "source" / path.stem).exists()
            if not has_trees and self._age(path) > (WEEK if is_mirror else DAY):
                self._remove(path)

    def _sweep_builders(self) -> None:
        """Remove layers and archives of classes that Jib's builds left long ago."""
        jib = self.root / "jib"
        for path in (*_in(jib / "application" / "layers"), *_in(jib / "classes")):
            if self._age(path) > MONTH:
                self._remove(path)

    def _sweep_bundles(self) -> None:
        """Remove bundles, then the parts that only those were made of."""
        bundles = self.root / "bundle"
        if not bundles.exists():
            return
        claimed = {name for claims in self.claims for name in claims.bundles}
        with (bundles / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # somebody makes one
                return
            kept = []
            for path in _in(bundles):
                if path.name in ("lock", "parts"):
                    continue
                least = DAY if path.name in self.before.bundles else WEEK
                if path.name in claimed or self._age(path) < least:
                    kept.append(path)
                else:
                    self._remove(path)
            self._sweep_parts(bundles / "parts", kept)

    def _sweep_parts(self, parts: Path, bundles: Iterable[Path]) -> None:
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

    def _remove(self, path: Path) -> None:
        """Remove a file or a folder with all in it."""
        self.swept.files.append(str(path.relative_to(self.root)))
        self.swept.bytes_freed += _size_of(path)
        if self.check:
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _age(path: Path, now: float) -> float:
    """Seconds since something changed; what has just gone is new."""
    try:
        return now - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _in(folder: Path) -> list[Path]:
    """What is in a folder, sorted; nothing when it is not there."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _digest_noted(path: Path) -> str:
    """The digest that a note names; of one that cannot be read, none."""
    try:
        return str(json.loads(path.read_text())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _size_of(path: Path) -> int:
    """Bytes that go with a file or folder: of a file with several names, none but with the last."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    states = (file.lstat() for file in files)
    return sum(state.st_size for state in states if state.st_nlink == 1)

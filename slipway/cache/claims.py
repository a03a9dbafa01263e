"""What each cluster claims of the cache, in a file of its own, so that no other run removes it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.files import write_whole
from slipway.locks import locked


@dataclass(frozen=True)
class Claims:
    """What a cluster needs of the cache.

    ``images`` are references, ``sources`` work trees as paths below the cache, and ``bundles`` the
    names of the folders of the bundles in use and of those before.
    """

    images: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    bundles: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Claims:
        """Return the claims that a file has in their JSON form."""
        return cls(frozenset(value["images"]), frozenset(value["sources"]), tuple(value["bundles"]))

    @classmethod
    def read(cls, path: Path) -> Claims:
        """Return what a file claims: nothing when it is not there.

        Raises SlipwayError when the claims cannot be known.
        """
        try:
            return cls.of(json.loads(path.read_text()))
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError) as error:
            what = f"does not say what a cluster needs: {error!r}"
            raise SlipwayError(
                Problem(str(path), what, "remove it; the next run writes it")
            ) from error

    def and_also(self, more: Claims) -> Claims:
        """Return all that these and ``more`` claim, with the bundles of ``more``."""
        return Claims(self.images | more.images, self.sources | more.sources, more.bundles)

    def as_json(self) -> str:
        """Return the claims as the file has them."""
        sets = {"images": sorted(self.images), "sources": sorted(self.sources)}
        return json.dumps({**sets, "bundles": self.bundles}, indent=1)


@dataclass(frozen=True)
class Claimant:
    """One cluster among those that share the cache."""

    cache: CacheLayout
    cluster: str

    @property
    def file(self) -> Path:
        """The file of the cluster's claims."""
        return self.cache.claims_of(self.cluster)

    def claims(self) -> Claims:
        """Return what the cluster claims now; raises SlipwayError when that cannot be known."""
        return Claims.read(self.file)

    def needs(
        self, images: Iterable[str], checkouts: Iterable[Path], bundles: Collection[Path]
    ) -> Claims:
        """Return what the cluster claims that has these images and runs from these bundles.

        Of the checkouts the cluster claims those that are work trees of the cache.
        """
        root = self.cache.root
        trees = (path.relative_to(root) for path in checkouts if path.is_relative_to(root))
        names = dict.fromkeys([*(path.name for path in bundles), *self.claims().bundles])
        of_bundles = tuple(names)[: 2 * len(bundles)]
        return Claims(frozenset(images), frozenset(map(str, trees)), of_bundles)

    def claim(
        self, images: Iterable[str], checkouts: Iterable[Path], bundles: Collection[Path]
    ) -> None:
        """Claim these beside all that the cluster has claimed so far."""
        with self.alone():
            self.write(self.claims().and_also(self.needs(images, checkouts, bundles)))

    def write(self, claims: Claims) -> None:
        """Claim this and nothing else; the caller is :meth:`alone`."""
        write_whole(self.file, claims.as_json())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep all others from changing claims and from sweeping meanwhile."""
        self.cache.claims.mkdir(parents=True, exist_ok=True)
        with locked(self.cache.claims_lock, "what clusters need of the cache"):
            yield

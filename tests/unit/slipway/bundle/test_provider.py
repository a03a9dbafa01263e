"""Having a bundle: made once, checked always, by one process at a time."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway.bundle import manifest
from slipway.bundle.provider import Bundle, bundle_path, ensure
from slipway.cache.layout import CacheLayout

WAIT = 5.0
"""Seconds after which what should have happened by then has not."""


class OneFile:
    """A provider of one file."""

    def __init__(self, key: str = "0" * 64) -> None:
        self.key = key
        self.filled = 0
        self.fails = False

    def fill(self, into: Path, say: Callable[[str], None]) -> Mapping[str, object]:
        """Write the file."""
        self.filled += 1
        (into / "file").write_text("content")
        if self.fails:
            raise RuntimeError("cannot be had")
        return {"provider": "one file"}


def silent(_line: str) -> None:
    """Say nothing."""


def test_it_is_made_below_the_cache_under_its_key(tmp_path: Path) -> None:
    provider = OneFile("0123456789abcdef" * 4)
    bundle = ensure(provider, CacheLayout(tmp_path), silent)
    assert bundle == Bundle(tmp_path / "bundle" / "0123456789abcdef", made=True)
    assert (manifest.read(bundle.path) or {})["about"] == {"provider": "one file"}


def test_an_intact_one_is_not_made_again(tmp_path: Path) -> None:
    provider = OneFile()
    ensure(provider, CacheLayout(tmp_path), silent)
    assert not ensure(provider, CacheLayout(tmp_path), silent).made
    assert provider.filled == 1


def test_a_damaged_one_is_made_anew_and_the_damage_named(tmp_path: Path) -> None:
    provider = OneFile()
    path = ensure(provider, CacheLayout(tmp_path), silent).path
    (path / "file").write_text("Content")
    (path / "leftover").write_text("of the damaged one")
    said: list[str] = []
    assert ensure(provider, CacheLayout(tmp_path), said.append).made
    assert said == ["damaged, making the bundle anew: file"]
    assert (path / "file").read_text() == "content"
    assert not (path / "leftover").exists()


def test_a_check_makes_nothing(tmp_path: Path) -> None:
    provider = OneFile()
    assert ensure(provider, CacheLayout(tmp_path / "cache"), silent, check=True).made
    assert not (tmp_path / "cache").exists()
    path = ensure(provider, CacheLayout(tmp_path / "cache"), silent).path
    assert not ensure(provider, CacheLayout(tmp_path / "cache"), silent, check=True).made
    (path / "file").unlink()
    assert ensure(provider, CacheLayout(tmp_path / "cache"), silent, check=True).made
    assert not (path / "file").exists()
    assert provider.filled == 1


def test_one_that_could_not_be_filled_is_not_there(tmp_path: Path) -> None:
    provider = OneFile()
    provider.fails = True
    with pytest.raises(RuntimeError):
        ensure(provider, CacheLayout(tmp_path), silent)
    assert not bundle_path(provider, CacheLayout(tmp_path)).exists()
    provider.fails = False
    assert ensure(provider, CacheLayout(tmp_path), silent).made


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """What another process holds while it makes a bundle."""
    (cache / "bundle").mkdir(parents=True)
    with (cache / "bundle" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_it_waits_for_whoever_is_making_it_and_takes_theirs(tmp_path: Path) -> None:
    mine, theirs = OneFile(), OneFile()
    found: list[Bundle] = []
    waiter = threading.Thread(
        target=lambda: found.append(ensure(mine, CacheLayout(tmp_path), silent))
    )
    with locked(tmp_path):
        waiter.start()
        waiter.join(0.1)
        assert waiter.is_alive()
        path = bundle_path(theirs, CacheLayout(tmp_path))
        path.mkdir()
        manifest.write(path, theirs.fill(path, silent))  # type: ignore[arg-type]
    waiter.join(WAIT)
    assert found == [Bundle(path, made=False)]
    assert mine.filled == 0

"""Bundles of a few files, and archives of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from slipway.architecture import Architecture
from slipway.bundle import manifest, packed
from slipway.bundle.packed import Contents
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.oci import machine_platform

KEY = "0123456789abcdef" * 4
VERSIONS = {"kubernetes": "1.36.3", "etcd": "3.6.8"}

FILES = {
    "bin/kubelet": b"a program",
    "tools/buildkitd": b"another",
    "images/index.json": b"{}",
    "images/blobs/sha256/a": b"a program",
    "images/index.lock": b"",
    "images/blobs.lock": b"",
}


def silent(_line: str) -> None:
    """Say nothing."""


def bundle(folder: Path, files: Mapping[str, bytes] = FILES, **about: Any) -> Path:
    """A bundle with these files, of which those below ``bin`` and ``tools`` are programs."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755 if name.startswith(("bin/", "tools/")) else 0o644)
    known = {
        "provider": "source",
        "platform": machine_platform(),
        "versions": VERSIONS,
        "packages": {},
        "parts": ["kubernetes-0123"],
    }
    manifest.write(folder, {**known, **about})
    return folder


@dataclass
class Maker:
    """Makes archives below a folder, each of a new bundle."""

    folder: Path
    made: int = 0

    def __call__(
        self,
        files: Mapping[str, bytes] = FILES,
        beside: Mapping[str, bytes] | None = None,
        key: str = KEY,
        sign: Callable[[bytes], bytes] | None = None,
        **about: Any,
    ) -> Path:
        self.made += 1
        top = self.folder / str(self.made)
        for name, content in (beside or {}).items():
            (top / "beside" / name).parent.mkdir(parents=True, exist_ok=True)
            (top / "beside" / name).write_bytes(content)
        out = top / "bundle.tar.zst"
        made = bundle(top / "bundle", files, **about)
        packed.write(out, made, top / "beside", key, sign, silent)
        return out


def contents_of(archive: Path) -> Contents:
    """What an archive says of itself."""
    with archive.open("rb") as file, packed.opened(file) as plain:
        return packed.read_contents(plain)


@dataclass(frozen=True)
class Lock:
    """What a provider has to know of the source that an archive was made of."""

    cache: CacheLayout
    key: str = KEY
    versions: Mapping[str, str] = field(default_factory=lambda: VERSIONS)
    architecture: Architecture = field(default_factory=Architecture.here)


def lock(cache: Path, **known: Any) -> SourceProvider:
    """The lock of a checkout, as far as an archive has to fit it."""
    return cast(SourceProvider, Lock(CacheLayout(cache), **known))

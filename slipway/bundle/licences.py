"""The licences of what a bundle is made of, gathered from the packages and modules themselves."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from slipway.bundle import manifest
from slipway.bundle.source import SourceProvider

FOLDER = "licences"
"""Where they are, beside a bundle and in one that came with them."""

_OF_DEBIAN = re.compile(r"\./usr/share/(?:doc/([^/]+)/copyright|common-licenses/([^/]+))")
_OF_GO = re.compile(r"(?:licen[cs]e|copying|notice|patents)", re.IGNORECASE)


def collect(
    provider: SourceProvider, bundle: Path, beside: Path, say: Callable[[str], None]
) -> None:
    """Put them into ``beside``, unless the bundle came with them.

    Left out, which is said, are those of a package whose part has been swept away, and of what was
    downloaded from upstream and not compiled here.
    """
    if (bundle / FOLDER).is_dir():
        return
    say("gathering licences")
    target = beside / FOLDER
    _copy(provider.project / "LICENSE", target / "slipway")
    parts = manifest.parts(bundle)
    for name in parts or []:
        if name.startswith("packages-"):
            part = provider.cache.bundle_parts / name
            if not manifest.is_there(part):
                say(f"without the licences of {name}, which is not in the cache any more")
            for archive in part.glob("*.tar"):
                _of_packages(archive, target / "debian")
    of = {name.rpartition("-")[0] for name in parts or []}
    for component in provider.components:
        if parts is not None and component.name not in of:
            say(f"without the licences of {component.name}, which upstream published")
            continue
        for module, folder in provider.toolchain.modules(component).items():
            for path in _licences(folder):
                _copy(path, target / "go" / module)
    for path in _licences(provider.toolchain.root):
        _copy(path, target / "go" / "std")


def _of_packages(archive: Path, target: Path) -> None:
    """What Debian's packages say of theirs, and the licences that they refer to."""
    with tarfile.open(archive) as tar:
        for member in tar:
            found = _OF_DEBIAN.fullmatch(member.name)
            content = tar.extractfile(member) if found and member.isreg() else None
            if found and content:
                folder = target / (found[1] or "common-licenses")
                folder.mkdir(parents=True, exist_ok=True)
                (folder / (found[2] or "copyright")).write_bytes(content.read())


def _licences(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if _OF_GO.match(path.name) and path.is_file())


def _copy(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / path.name)

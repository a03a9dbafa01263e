"""Archives of Java that do not say where they were published, by what Maven has downloaded.

Beside what it downloads, Maven keeps its sha1, and the folder says group, name and version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from slipway.files import read_bytes
from slipway.sbom.packages import Package

_SUM = ".jar.sha1"
_LONGEST = 4096


class Repositories:
    """Local repositories of Maven."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = [*roots]

    @cached_property
    def _sums(self) -> dict[tuple[str, str], list[tuple[Path, Path]]]:
        """Files with sums and the repositories that they are in, by name and version."""
        found: dict[tuple[str, str], list[tuple[Path, Path]]] = defaultdict(list)
        for root in self._roots:
            for path in root.rglob(f"*{_SUM}"):
                parts = path.relative_to(root).parts
                if len(parts) > 3 and path.name.startswith(f"{parts[-3]}-{parts[-2]}"):
                    found[parts[-3], parts[-2]].append((root, path))
        return found

    def known(self, package: Package) -> Package:
        """The package with its group, if it is an archive of which that can be found out."""
        sha1 = dict(package.hashes).get("SHA-1")
        if package.kind != "maven" or package.group or not sha1:
            return package
        for root, path in self._sums.get((package.name, package.version), ()):
            with suppress(OSError):
                said = read_bytes(path, _LONGEST).split()
                if said and said[0] == sha1.encode():
                    group = ".".join(path.relative_to(root).parts[:-3])
                    if (named := replace(package, group=group)).is_plain:
                        return named
        return package

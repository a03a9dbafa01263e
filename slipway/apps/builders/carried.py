"""Artifacts of Maven that came with a bundle, those of each repository apart.

Builds wrote them: what those of one repository left, no build of another one is to run.
"""

from __future__ import annotations

from pathlib import Path

from slipway.apps.source.git import mirror_key

FOLDER = "maven"
"""Where they are, beside a bundle and in one that came with them."""


def artifacts(top: Path, url: str) -> Path:
    """The folder below ``top`` with those for builds of the repository at ``url``.

    A path is another one on each machine, as that of a sample is: its last two names are it.
    """
    path = Path(url)
    own = Path("paths", *path.parts[1:][-2:]) if path.is_absolute() else Path(mirror_key(url))
    return top / FOLDER / own

"""What a builder gets and what it gives back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from slipway.apps.build.bases import Base


@dataclass(frozen=True)
class Order:
    """One image to build.

    ``label`` names the app in messages, ``checkout`` is its work tree, which stays as it is,
    ``options`` are those of apps.yml, ``secrets`` the values by the id under which the build asks
    for them, and ``scratch`` is a folder that is removed afterwards.
    """

    label: str
    checkout: Path
    options: Mapping[str, Any]
    base: Base | None
    secrets: Mapping[str, str]
    scratch: Path

    def copy(self, without: Sequence[str] = ()) -> Path:
        """A copy of the work tree to build in, ``without`` what has one of these names."""
        source = self.scratch / "source"
        ignored = shutil.ignore_patterns(*without)
        shutil.copytree(self.checkout, source, symlinks=True, ignore=ignored)
        return source


class Builder(Protocol):
    """Has an image made; ``doing`` is what progress lines call that."""

    doing: str

    def build(self, order: Order) -> Path:
        """Return the image as an archive or, to be linked and not copied, as an OCI layout
        directory below the order's scratch folder whose blobs were checked when they were written.

        Raises SlipwayError.
        """

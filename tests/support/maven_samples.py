"""Maven projects for the tests, and orders to build them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from slipway.apps.app import JibBuild
from slipway.apps.builders.order import Order


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Put files there; of a pom only what is in its project is given."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<project>{text}</project>" if path.name == "pom.xml" else text)


def order(root: Path, **secrets: str) -> Order[JibBuild]:
    """To build what is in ``checkout`` below ``root``."""
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=root))
    return Order("web (main)", "web", root / "checkout", JibBuild(), None, secrets, scratch)

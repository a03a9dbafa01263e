"""App records: plain data that grows from step to step, from apps.yml to the answer of a route.

The steps hand them on as files: as values of Ansible's, a few hundred records would cost more time
than all that is done with them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Record = dict[str, Any]
"""An app as the steps so far have it, to be completed."""

App = Mapping[str, Any]
"""An app as the steps so far have it, to be read."""


def app_label(app: App) -> str:
    """How messages name an app: ``greeter (main)``."""
    return f"{app['name']} ({app['git_branch']})"


def fail(record: Record, step: str, reason: str) -> None:
    """Note at which step an app failed and why, unless it failed before."""
    record.setdefault("failed", {"step": step, "reason": reason})


def images_of(apps: Iterable[App]) -> set[str]:
    """The images of those that have one."""
    return {app["image"] for app in apps if "image" in app}


def checkouts_of(apps: Iterable[App]) -> set[Path]:
    """The work trees of those that have one."""
    return {Path(app["checkout"]) for app in apps if "checkout" in app}


def save(records: Iterable[App], folder: Path) -> str:
    """Write records to a new file in ``folder``; return its path."""
    with tempfile.NamedTemporaryFile(
        "w", dir=folder, prefix="apps-", suffix=".json", delete=False
    ) as file:
        file.write(json.dumps([*records]))  # far faster than writing it piece by piece
    return file.name


def load(path: str) -> list[Record]:
    """The records that :func:`save` wrote."""
    found: list[Record] = json.loads(Path(path).read_bytes())
    return found

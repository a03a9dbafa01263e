"""App records: plain data that grows from step to step, from apps.yml to the answer of a route."""

from __future__ import annotations

from collections.abc import Mapping
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

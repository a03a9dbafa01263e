"""A pattern of branches, and what a cluster has of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from slipway.apps.environments.resolve import Environment
from slipway.apps.names import pattern_id
from tests.support import apps

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
URL = "https://git.example.org/web.git"
ID = pattern_id("web", URL, "feature/*")


def sample(**rules: Any) -> dict[str, Any]:
    """The record of a branch that the pattern matches."""
    branches = {"max": 20, "grace": "24h", "keep": [], "exclude": [], **rules}
    return apps.planned("web", git_url=URL, pattern="feature/*", branches=branches)


def environment(branch: str, **about: Any) -> Environment:
    """An environment of the pattern that the cluster has."""
    return Environment(ID, f"web-{branch.replace('/', '-')}", "web", branch, **about)

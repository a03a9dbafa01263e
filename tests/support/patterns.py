"""A pattern of branches, and what a cluster has of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from slipway.apps.app import BranchRules
from slipway.apps.environments.resolve import Existing
from slipway.apps.names import pattern_id
from slipway.apps.plan.branches import Sample
from tests.support import apps

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
URL = "https://git.example.org/web.git"
ID = pattern_id("web", URL, "feature/*")


def sample(**rules: Any) -> Sample:
    """The pattern, with rules in place of the usual ones."""
    app = apps.planned("web", git_url=URL, pattern="feature/*")
    usual = BranchRules(max=20, grace="24h", keep=[], exclude=[])
    return Sample(app, structs.replace(usual, **rules))


def environment(branch: str, **about: Any) -> Existing:
    """An environment of the pattern that the cluster has."""
    namespace = f"web-{branch.replace('/', '-')}"
    found: dict[str, Any] = {"id": f"{namespace}/web", "namespace": namespace, "name": "web"}
    return Existing(pattern=ID, git_branch=branch, **found, **about)

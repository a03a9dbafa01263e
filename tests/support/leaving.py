"""Environments of a pattern whose branches come and go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import structs

from slipway.apps.app import App, BranchRules
from slipway.apps.deploy.deploy import Outcome, deploy
from slipway.apps.environments.found import existing
from slipway.apps.environments.resolve import Leaving, resolve
from slipway.apps.plan.branches import Sample
from slipway.kube.client import Kube
from tests.support.apps import built

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NO_CA = Path("/nowhere")
RULES = BranchRules(max=20, grace="1h", keep=[], exclude=[])
A, B = (built(branch=branch, pattern="*") for branch in ("a", "b"))
MAIN = built("quote")


def run(
    kube: Kube, apps: Iterable[App], leaving: Sequence[Leaving] = (), **options: Any
) -> Outcome:
    """Deploy apps to a cluster."""
    settings: dict[str, Any] = {"secrets": {}, "ca_dir": NO_CA, "seconds": 10, **options}
    return deploy(kube, apps, "nginx", say=print, leaving=leaving, **settings)


def missed(kube: Kube, now: datetime = NOW, **rules: Any) -> list[Leaving]:
    """What stays for now of the environments whose branches are all gone."""
    sample = Sample(A, structs.replace(RULES, **rules))
    return list(resolve(sample, [], existing(kube), now).leaving)

"""An environment as the cluster has it, and what is noted of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from slipway.apps.manifests.labels import Object

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def deployment(name: str = "web", branch: str = "main", **changes: Any) -> Object:
    """A Deployment that is rolled out."""
    status = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    return {
        "metadata": {
            "name": name,
            "namespace": f"{name}-{branch}",
            "generation": 1,
            "creationTimestamp": "2026-01-30T12:00:00Z",
            "labels": {"app.kubernetes.io/name": name},
            "annotations": {
                "slipway.internal/branch": branch,
                "slipway.internal/commit": COMMIT,
                **changes.pop("annotations", {}),
            },
        },
        "spec": {"replicas": 2},
        "status": {**status, **changes},
    }


def note(**about: Any) -> dict[str, Any]:
    return {
        "app": "web",
        "branch": "main",
        "namespace": "web-main",
        "commit": "f" * 40,
        "urls": ["http://demo.test/web/"],
        "failing": False,
        **about,
    }


def notes(**entries: dict[str, Any]) -> Object:
    """The ConfigMap with entries by branch of web."""
    ids = {f"web-{branch}/web": entry for branch, entry in entries.items()}
    return {"data": {"environments.json": json.dumps(ids)}}


FAILURE = {"step": "build", "reason": "no compiler\nat all", "at": "2026-01-31T10:00:00Z"}

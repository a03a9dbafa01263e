"""What Slipway wants of a Kubernetes object, and whether a live one is already so.

An object is written with the hash of itself as it was rendered (``HASH``). So a look at the live
object tells both what somebody edited since and which fields the rendered one no longer has.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from slipway.kube import Object

HASH = "slipway.internal/hash"
"""The annotation with the hash."""


def sealed(obj: Object) -> Object:
    """The object with its own hash among its annotations."""
    metadata = obj["metadata"]
    annotations = {**(metadata.get("annotations") or {}), HASH: digest(obj)}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def contains(live: Any, wanted: Any) -> bool:
    """Whether ``live`` still says all that ``wanted`` says, whatever the API added to it."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key in live and contains(live[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(live, list) and len(live) == len(wanted) and all(map(contains, live, wanted))
        )
    return bool(live == wanted)


def digest(value: Any) -> str:
    """A short content hash of plain data, the same in every run; YAML's dates count as text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

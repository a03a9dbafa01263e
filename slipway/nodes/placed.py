"""Where a node has the files of the bundle, and how it notes what was put on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

INSTALLED = {
    "bin": "/usr/local/bin",
    "cni": "/opt/cni/bin",
    # Of its own, so that nobody else on the machine gets it instead of the machine's.
    "haproxy": "/usr/local/lib/slipway/haproxy",
    "keepalived": "/usr/local/lib/slipway/keepalived",
    "nft": "/usr/local/lib/slipway/nft",
}
"""Directory of the bundle -> directory of a node."""


def record_of(paths: Iterable[str]) -> str:
    """The record of a node that got files with its image, before any role was asked for them."""
    placed = [{"kind": "file", "name": path, "role": "", "former": False} for path in paths]
    return json.dumps({"earlier": False, "placed": placed}, indent=1)


def measured(text: str) -> dict[str, Any]:
    """Size and sha256 of a text, by which a node finds out whether its file is that."""
    content = text.encode()
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

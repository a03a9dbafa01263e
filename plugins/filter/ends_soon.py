"""Whether a kubeconfig is to be fetched anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from slipway.control_node.kubeconfig import RENEWED_BEFORE, ends


def ends_soon(kubeconfig: str) -> bool:
    """Whether the certificate of a kubeconfig's user ends within 60 days; not of one without."""
    end = ends(Path(kubeconfig)).get("certificate")
    return end is not None and end - datetime.now(UTC) < RENEWED_BEFORE


class FilterModule:
    """Ansible's way to the filter."""

    def filters(self) -> dict[str, Callable[..., bool]]:
        """Filters by name."""
        return {"ends_soon": ends_soon}

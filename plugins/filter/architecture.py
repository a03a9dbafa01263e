"""What images call the processor of a machine."""

from __future__ import annotations

from collections.abc import Callable

from slipway.architecture import Architecture


def architecture(machine: str) -> str:
    """The architecture of a machine by the name that ``uname -m`` has for it; empty is this one."""
    return (Architecture.of(machine) if machine else Architecture.here()).value


class FilterModule:
    """Ansible's way to the filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Filters by name."""
        return {"architecture": architecture}

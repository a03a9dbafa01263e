"""Files of the bundle as entries for node_config."""

from __future__ import annotations

from collections.abc import Callable

from slipway.nodes.placed import INSTALLED


def bundle_file(name: str, bundle: str, folder: str) -> dict[str, str]:
    """The entry that puts the executable ``name`` of the bundle's ``folder`` into its place."""
    source = f"{bundle}/{folder}/{name}"
    return {"path": f"{INSTALLED[folder]}/{name}", "source": source, "mode": "0755"}


class FilterModule:
    """Ansible's way to the filter."""

    def filters(self) -> dict[str, Callable[..., dict[str, str]]]:
        """Filters by name."""
        return {"bundle_file": bundle_file}

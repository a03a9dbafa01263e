"""Names of secrets in apps.yml; their values are in the vault."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from slipway.apps.plan.places import Finding, Places
from slipway.apps.plan.yaml_lines import Place


def unknown_secrets(
    places: Places, setting: Place, name: str, secrets: Collection[str] | None
) -> Iterator[Finding]:
    """A secret that is named but not there; nothing when it is not known which there are."""
    if secrets is not None and name not in secrets:
        yield places.finding(setting, *unknown(name, secrets))


def unknown(name: str, secrets: Collection[str]) -> tuple[str, str]:
    """That there is no such secret, and what may have been meant."""
    near = difflib.get_close_matches(name, secrets, n=1)
    fix = f"write {near[0]}" if near else f"add {name} to slipway_secrets in the vault"
    return f"names the secret {name}, which slipway_secrets does not have", fix

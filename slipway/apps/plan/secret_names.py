"""Names of secrets in apps.yml; their values are in the vault."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from slipway.apps.plan.places import Finding, Places
from slipway.apps.plan.yaml_lines import Place
from slipway.secrets import Secrets


def unknown_secrets(
    places: Places, setting: Place, name: str, app: str, secrets: Collection[str] | None
) -> Iterator[Finding]:
    """A secret that an app names and that is not there, or is not for it.

    Nothing when it is not known which there are.
    """
    if secrets is not None and name not in secrets:
        yield places.finding(setting, *unknown(name, secrets))
    elif isinstance(secrets, Secrets) and not secrets.granted(name, app):
        fix = f"have the operator add {app} to apps of slipway_secrets.{name}, or name another"
        yield places.finding(setting, f"names the secret {name}, which is not for {app}", fix)


def unknown(name: str, secrets: Collection[str]) -> tuple[str, str]:
    """That there is no such secret, and what may have been meant."""
    near = difflib.get_close_matches(name, secrets, n=1)
    fix = f"write {near[0]}" if near else f"add {name} to slipway_secrets in the vault"
    return f"names the secret {name}, which slipway_secrets does not have", fix

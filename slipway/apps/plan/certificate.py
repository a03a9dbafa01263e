"""The certificate that an app itself shows, and what goes with TLS that ends in the app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.apps.app import HTTPS, App
from slipway.apps.plan import schema
from slipway.apps.plan.bounds import Bounds
from slipway.apps.plan.places import Finding, Places, plain
from slipway.apps.plan.yaml_lines import Place
from slipway.apps.templates import HOST_VARIABLES, fill, is_template, mistake

_SETTING = "certificate"


def mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Routes to a port that speaks HTTPS."""
    if app.get("scheme") == HTTPS and "ingress" in app:
        what = "is https, and routes lead to the app's port, where they are asked over HTTP"
        fix = "write a port that speaks HTTP, and the other one in service.ports; or remove ingress"
        yield places.finding(("scheme",), what, fix)


def template_mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Templates of hosts that cannot be filled in."""
    for setting, text in _hosts(app):
        if fault := mistake(text, HOST_VARIABLES):
            yield places.finding(setting, *fault)


def rendered_mistakes(
    places: Places, settings: Mapping[str, Any], app: App, bounds: Bounds
) -> Iterator[Finding]:
    """Hosts that are no longer right once they are filled in, or that are not the operator's."""
    filled = app.certificate.hosts if app.certificate else []
    for (setting, text), host in zip(_hosts(settings), filled, strict=True):
        found = []
        if is_template(text):
            found = [*schema.setting_mistakes(places, setting, host, "host")]
        yield from found or bounds.host_mistakes(places, setting, host)


def settings_of(
    app: Mapping[str, Any], variables: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """The setting of an App, its hosts filled in where ``variables`` are known."""
    if _SETTING not in app:
        return None
    given, keys = plain(app[_SETTING]), schema.schema()["definitions"][_SETTING]["properties"]
    settings = {key: given.get(key, rule["default"]) for key, rule in keys.items()}
    hosts = [*settings["hosts"]]
    return {**settings, "hosts": [fill(h, variables) for h in hosts] if variables else hosts}


def _hosts(app: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    for number, host in enumerate(app.get(_SETTING, {}).get("hosts", ())):
        yield (_SETTING, "hosts", number), host

"""Passwords that environments have of their own: which apps name them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from slipway.apps.plan import certificate
from slipway.apps.plan.places import Finding, Places, nearest
from slipway.apps.plan.services import named
from slipway.apps.plan.services import of as services_of
from slipway.apps.plan.yaml_lines import Place

Named = Mapping[str, Collection[str]]
"""By the names of apps, the passwords that they have."""


def named_in(document: Mapping[str, Any]) -> Named:
    """Those that a whole file has, as far as its entries are sound."""
    found: dict[str, set[str]] = defaultdict(set)
    defaults = document.get("defaults", {})
    for app in document["apps"]:
        if isinstance(app, Mapping) and isinstance(app.get("name"), str):
            parts = {named(app["name"], name): each for name, each in services_of(app).items()}
            env = {**_mapping(defaults.get("env")), **_mapping(app.get("env"))}
            parts[app["name"]] = {**defaults, **app, "env": env}
            for name, part in parts.items():
                own = (each for _place, each in _entries(part) if "app" not in each)
                found[name].update(str(entry["password"]) for entry in own)
    return found


def mistakes(places: Places, app: Mapping[str, Any], known: Named) -> Iterator[Finding]:
    """Passwords of apps that are not in the file, or that have none of the name."""
    for place, entry in _entries(app):
        owner, name = entry.get("app"), entry["password"]
        if owner is None:
            continue
        if not known.get(owner):
            what = f"there is no app {owner} that has passwords"
            yield places.finding((*place, "app"), what, nearest(owner, [*filter(known.get, known)]))
        elif name not in known[owner]:
            what = f"{owner} has no password {name}"
            yield places.finding((*place, "password"), what, nearest(name, known[owner]))


def _entries(app: Mapping[str, Any]) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The variables and files that are passwords, and that of key stores, each with its place."""
    env, files = _mapping(app.get("env")), app.get("config_files")
    places: list[tuple[Place, Any]] = [(("env", key), value) for key, value in env.items()]
    places += [
        (("config_files", number), file)
        for number, file in enumerate(files if isinstance(files, list) else ())
    ]
    if isinstance(app.get("certificate"), Mapping):
        places.append((("certificate",), certificate.settings_of(app)))
    for place, entry in places:
        if isinstance(entry, Mapping) and "password" in entry:
            yield place, entry


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

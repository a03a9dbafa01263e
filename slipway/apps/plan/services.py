"""Services that an app brings along: databases, caches, queues, each an app of an image."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from slipway.apps.plan.places import Finding, Places, nearest, plain

ENVIRONMENT, CLUSTER = "environment", "cluster"
"""Who shares a service: the apps of one environment, or all."""

_NAME_LENGTH = 50
"""The most characters of an app's name."""

_PORT = "tcp"
"""The name of a service's port, where nothing is said of its ports."""

_SHARED = ("node_selector", "pod_security", "registry_auth")
"""What of an app holds for its services, too."""


def named(app: str, service: str) -> str:
    """The name of the app that a service is."""
    return f"{app}-{service}"


def of(app: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The services of an app by their names, as far as they are sound."""
    given = app.get("services")
    found = plain(given) if isinstance(given, Mapping) else {}
    return {name: each for name, each in found.items() if isinstance(each, Mapping)}


def settings_of(app: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The services of an app: name, scope, and the settings of the app that it is."""
    shared = {key: app[key] for key in _SHARED if key in app}
    for name, given in of(app).items():
        own = plain(given)
        scope = str(own.pop("scope", ENVIRONMENT))
        own.setdefault("service", {"ports": {_PORT: {"port": own.get("port")}}})
        yield name, scope, {**shared, **own, "name": named(app["name"], name)}


def mistakes(places: Places, app: Mapping[str, Any], known: Collection[str]) -> Iterator[Finding]:
    """Names that are too long, and apps and services in ``uses`` that there are not."""
    for name in of(app):
        whole = named(app["name"], name)
        if len(whole) > _NAME_LENGTH:
            what = f"has {len(whole)} characters as {whole}, and may have {_NAME_LENGTH}"
            yield places.finding(("services", name), what, "give it a shorter name")
    for number, text in enumerate(app.get("uses", ())):
        name = used(text)
        if name == app["name"]:
            yield places.finding(("uses", number), "is the app itself", "remove it")
        elif name not in known:
            what, fix = f"there is no {_said(text)}", nearest(name, known)
            yield places.finding(("uses", number), what, fix)


def used(text: str) -> str:
    """The name of the app that an entry of ``uses`` means: ``orders/db`` is orders-db."""
    return text.replace("/", "-", 1)


def _said(text: str) -> str:
    app, _, service = text.partition("/")
    return f"service {service} of {app}" if service else f"app {app}"


def needs_of(app: Mapping[str, Any]) -> list[str]:
    """The names of the apps that have to run before an app does."""
    own = [named(app["name"], name) for name in of(app)]
    return [*dict.fromkeys([*own, *others_of(app)])]


def others_of(app: Mapping[str, Any]) -> list[str]:
    """Those of them that are not in its own namespace."""
    shared = [name for name, each in of(app).items() if each.get("scope") == CLUSTER]
    own = [named(app["name"], name) for name in shared]
    return [*dict.fromkeys([*own, *map(used, app.get("uses", ()))])]


def ring(needs: Mapping[str, Collection[str]]) -> list[str]:
    """Apps of which each waits for the next, and the last for the first; empty without any."""
    done: set[str] = set()

    def search(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        found: list[str] = []
        for each in needs.get(name, ()):
            found = found or search(each, [*way, name])
        done.add(name)
        return found

    for name in needs:
        if found := search(name, []):
            return found
    return []

"""What two apps of a file cannot both have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from slipway.apps.app import App
from slipway.apps.manifests.labels import named
from slipway.apps.plan import routes, service, services, volumes
from slipway.apps.plan.entry import Entry
from slipway.apps.plan.places import Finding, Places
from slipway.apps.plan.yaml_lines import Place
from slipway.apps.templates import is_template


def conflicts(
    apps: Iterable[tuple[Places, App]], given: Iterable[tuple[Places, App]] = ()
) -> Iterator[tuple[App, Finding]]:
    """What two apps cannot both have, with the second of them.

    Names that are ``given`` to apps are theirs whichever comes first.
    """
    first: dict[str, str] = {}
    parts: dict[str, tuple[str, str]] = {}
    only: dict[str, tuple[str, str]] = {}
    levels: dict[str, tuple[str, str]] = {}
    taken: dict[tuple[str, str], routes.Taken] = {}
    for places, app in given:
        for names, found in ((parts, _parts(app)), (only, _only(app))):
            for _, name in found:
                names.setdefault(name, (app.id, places.where()))
    for places, app in apps:
        if at := first.get(app.id):
            finding = places.finding(
                (),
                f"{app.name} in namespace {app.namespace} is also at {at}",
                "give one of them another name or a namespace of its own",
            )
            yield app, finding
            continue
        first[app.id] = places.where()
        for setting, name in _parts(app):
            owner, at = parts.setdefault(name, (app.id, places.where()))
            if owner != app.id:
                what = f"{name} is also the name of what {at} runs"
                yield app, places.finding(setting, what, "give one of them another name")
        for setting, name in _only(app):
            owner, at = only.setdefault(name, (app.id, places.where()))
            if owner != app.id:
                yield app, places.finding(setting, f"{name} is also that of {at}", "write another")
        level, at = levels.setdefault(app.namespace, (app.pod_security, places.where()))
        if level != app.pod_security:
            what = f"is {app.pod_security}, and {at}, in the same namespace, is {level}"
            fix = "write the same for both, or give one of them a namespace of its own"
            yield app, places.finding(("pod_security",), what, fix)
        for finding in routes.conflicts(places, app, taken):
            yield app, finding


def _parts(app: App) -> Iterator[tuple[Place, str]]:
    """What runs of an app, by its name in the cluster, and which setting says so."""
    yield (), f"{named(app)} in namespace {app.namespace}"
    for key, parts in (("processes", app.processes), ("jobs", app.jobs)):
        for part in parts:
            yield (key, part), f"{named(app, part)} in namespace {app.namespace}"


def _only(app: App) -> Iterator[tuple[Place, str]]:
    """What else no other app can have, and which setting says so."""
    yield from service.taken(app.service)
    yield from volumes.taken(app)


def ring(entries: Iterable[Entry]) -> Iterator[Finding]:
    """Apps that wait for one another."""
    by_name: dict[str, list[str]] = {}
    places: dict[str, Places] = {}
    for entry in entries:
        by_name.setdefault(entry.app.name, []).extend(each.app for each in entry.app.needs)
        places.setdefault(entry.app.name, entry.places)
    if way := services.ring(by_name):
        what = f"has them wait for one another for ever: {' needs '.join(way)}"
        yield places[way[0]].finding(("uses",), what, "remove one of them")


def intrusions(entries: Sequence[Entry]) -> Iterator[tuple[App, Finding]]:
    """Environments that the name of their branch puts into what is another app's by default.

    Apps whose templates give the same namespace or host may share it; one that names none, or
    writes it out, did not mean to.
    """
    alone = {
        entry.app.namespace: entry.app.name
        for entry in entries
        if not is_template(entry.settings.get("namespace"))
    }
    written = {
        host: entry.app.name
        for entry in entries
        for host, by_branch in routes.hosts_by_branch(entry.settings, entry.app)
        if not by_branch
    }
    for entry in entries:
        app = entry.app
        if not entry.pattern or app.failed:
            continue
        owner = alone.get(app.namespace, app.name)
        if owner != app.name:
            what = f"{app.namespace} is the namespace of {owner}"
            fix = "begin it with the name of the app, or leave it out"
            yield app, entry.places.finding(("namespace",), what, fix)
        for host, by_branch in routes.hosts_by_branch(entry.settings, app):
            owner = written.get(host, app.name)
            if by_branch and owner != app.name:
                what = f"{host}, for the branch {app.git_branch!r}, is the host of {owner}"
                fix = "have the name of the app in it, or exclude the branch"
                yield app, entry.places.finding(("ingress",), what, fix)

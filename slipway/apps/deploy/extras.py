"""Extras of apps against the cluster: where they belong, what differs, what is left over."""

from __future__ import annotations

from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from slipway.apps.app import App
from slipway.apps.boundary import Boundary
from slipway.apps.manifests.bounds import Surroundings
from slipway.apps.manifests.bounds_ingress import Routes
from slipway.apps.manifests.extras import (
    DEFINITION,
    Extra,
    Kind,
    Misplaced,
    adopted,
    check,
    clashes,
    extra_key,
    is_definition,
    kind_of,
    owner_of_extra,
)
from slipway.kube.client import CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, Object, Resource
from slipway.kube.objects import Key, contains, grouped, is_sealed

Find = Callable[[str, str], Resource | None]
"""Where the API keeps a kind; None when it does not know it."""


@dataclass(frozen=True)
class Adopted:
    """The extras as they are to be applied, and what is wrong with some; both by app."""

    extras: dict[str, list[Object]]
    faults: dict[str, list[str]]
    operators: set[Key]
    """The keys of those that the operator applies, and not the environment."""


def adopt(
    apps: Iterable[App],
    found: Mapping[str, Iterable[Extra]],
    find: Find,
    ingress_class: str,
    require_answer: Callable[[Exception], None] = lambda _error: None,
) -> Adopted:
    """Make the extras that were ``found``, by app, the apps' own.

    Of an app with a fault there are no extras; ``require_answer`` is the check of a Boundary.
    """
    apps = list(apps)
    result = Adopted({}, {}, set())
    boundary: Boundary[App] = Boundary(
        lambda app, reason: result.faults.setdefault(app.id, []).append(reason), require_answer
    )
    routes = Routes(apps)
    accounts = _accounts(apps, found)
    defined: dict[Kind, bool] = {}
    for app in apps:
        for extra in found.get(app.id, ()):
            if is_definition(extra.obj):
                defined |= boundary.run([app], _scopes, extra.obj) or {}

    def adopt_one(extra: Extra, app: App) -> Object:
        brought = accounts[app.namespace]
        check(extra, Surroundings(app, brought, routes, ingress_class))
        resource = find(*kind_of(extra.obj))
        namespaced = resource.namespaced if resource else defined.get(kind_of(extra.obj))
        if namespaced is None:
            kind = " ".join(kind_of(extra.obj))
            fix = f"correct it, or bring its {DEFINITION}"
            raise Misplaced(f"{extra.where}: the API does not know {kind}: {fix}")
        made = adopted(extra, app, namespaced=namespaced, ingress_class=ingress_class)
        if extra.is_vouched_for:
            result.operators.add(extra_key(made))
        return made

    for app in apps:
        made = [boundary.run([app], adopt_one, extra, app) for extra in found.get(app.id, ())]
        sound = app.id not in result.faults
        result.extras[app.id] = [obj for obj in made if obj] if sound else []
    for app_id, reason in clashes(apps, result.extras):
        result.faults.setdefault(app_id, []).append(reason)
    for app_id in result.faults:
        result.extras[app_id] = []
    return result


def _accounts(
    apps: Iterable[App], found: Mapping[str, Iterable[Extra]]
) -> Mapping[str, Collection[str]]:
    """The names of the ServiceAccounts that the apps of each namespace bring."""
    names: dict[str, set[str]] = defaultdict(set)
    for app in apps:
        for extra in found.get(app.id, ()):
            if kind_of(extra.obj) == (SERVICE_ACCOUNTS.api_version, SERVICE_ACCOUNTS.kind):
                names[app.namespace].add(extra.obj["metadata"]["name"])
    return names


def _scopes(definition: Object) -> dict[Kind, bool]:
    """The kinds that a definition defines, and whether their objects are in namespaces."""
    spec = definition["spec"]
    return {
        (f"{spec['group']}/{version['name']}", spec["names"]["kind"]): spec["scope"] == "Namespaced"
        for version in spec["versions"]
    }


@dataclass(frozen=True)
class ExtrasDecision:
    """What of the extras is to be done."""

    apply: dict[str, list[Object]] = field(default_factory=dict)
    """By app, what differs."""
    leftovers: dict[str, list[Object]] = field(default_factory=dict)
    """By app, what it no longer has."""
    orphans: list[Object] = field(default_factory=list)
    """What apps had that are no more."""


def decide_extras(
    wanted: Mapping[str, list[Object]], live: Mapping[Key, Object], known: Collection[str]
) -> ExtrasDecision:
    """Compare the extras ``wanted``, by app, with those in the cluster.

    What apps have that are ``known``, but of which nothing is said here, stays as it is.
    Definitions stay in any case.
    """
    kept = {extra_key(obj) for objects in wanted.values() for obj in objects}
    gone = [
        obj
        for key, obj in live.items()
        if key not in kept and is_sealed(obj) and not is_definition(obj)
    ]
    differing = {
        app_id: [obj for obj in objects if not contains(live.get(extra_key(obj)), obj)]
        for app_id, objects in wanted.items()
    }
    by_owner = grouped(gone, owner_of_extra)
    return ExtrasDecision(
        apply={app_id: objects for app_id, objects in differing.items() if objects},
        leftovers={app_id: by_owner[app_id] for app_id in wanted if app_id in by_owner},
        orphans=[obj for obj in gone if owner_of_extra(obj) not in known],
    )


def missing(
    app: App, extras: Iterable[Object], get: Callable[[Resource, str], Object | None]
) -> list[str]:
    """What the app's pods refer to that is neither among ``extras`` nor to be had by ``get``.

    Those are the extras of all apps in its namespace.
    """
    by_name = {(*kind_of(obj), obj["metadata"]["name"]): obj for obj in extras}

    @cache
    def found(resource: Resource, name: str) -> Object | None:
        extra = by_name.get((resource.api_version, resource.kind, name))
        return extra or get(resource, name)

    place = f"in namespace {app.namespace}, nor among the manifests"
    lacking = []
    for variable, source in app.env.items():
        for name, resource in (
            (source.config_map, CONFIG_MAPS),
            (source.kubernetes_secret, SECRETS),
        ):
            if name is None:
                continue
            title = f"{resource.kind} {name}"
            obj = found(resource, name)
            if obj is None:
                lacking.append(f"env {variable}: there is no {title} {place}")
            elif source.key not in (data := obj.get("data") or {}):
                has = ", ".join(sorted(data)) or "none"
                lacking.append(f"env {variable}: {title} has no key {source.key}; it has {has}")
            elif resource is SECRETS and not _is_text(data[source.key]):
                why = "is no UTF-8 text, which a variable has to be"
                lacking.append(f"env {variable}: the key {source.key} of {title} {why}")
    # Every namespace gets an account of the name default by itself. Any other that is there
    # already was made for somebody else.
    account = app.service_account
    key = (SERVICE_ACCOUNTS.api_version, SERVICE_ACCOUNTS.kind, account)
    if account not in (None, "default") and key not in by_name:
        what = f"there is no ServiceAccount {account} among the manifests"
        lacking.append(f"service_account: {what} of the apps in namespace {app.namespace}")
    return lacking


def _is_text(value: str) -> bool:
    """Whether a value in base64 is text that a variable can have."""
    try:
        return "\0" not in b64decode(value).decode()
    except ValueError:
        return False

"""What a run has to do so that the cluster holds what the records say; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slipway.apps.manifests import namespace, render
from slipway.apps.manifests.labels import ROUTES_NAMESPACE, is_own, owner_of
from slipway.apps.manifests.routes import hosts, master
from slipway.apps.records import App
from slipway.apps.state import Key, State, by_key, key_of, usable
from slipway.kube import CONFIG_MAPS, Object
from slipway.objects import contains


@dataclass(frozen=True)
class Decision:
    """What a run will do; all of it empty when the cluster is as it should be."""

    namespaces: list[Object]
    masters: list[Object]
    apply: dict[str, list[Object]]
    """By app, what of its objects differs."""
    undecided: list[str]
    """Apps that have no image yet, as in a check before the first build."""
    delete: list[Object]
    old_configs: dict[str, list[Object]]
    """By app of those to apply, configurations that only older versions may still have."""
    spare_namespaces: list[str]
    """Namespaces of Slipway's that no app needs any more."""


def decide(apps: Iterable[App], state: State, ingress_class: str) -> Decision:
    """Compare the records with the cluster.

    What an app has stays as it is when the app failed in an earlier step, and also when it has no
    image to compare with: then it counts as undecided.
    """
    apps = list(apps)
    ready = [app for app in apps if "failed" not in app and "image" in app]
    masters = {host: master(host, ingress_class) for host in hosts(apps)}
    rendered = {app["id"]: render(app, ingress_class) for app in ready}
    known = {app["id"] for app in apps}
    kept = {
        *by_key((*masters.values(), *_flat(rendered.values()))),
        *(key for key, obj in state.objects.items() if owner_of(obj) in known - rendered.keys()),
    }
    old = {
        key: obj
        for key, obj in state.objects.items()
        if key[0] == CONFIG_MAPS.kind and key not in kept and owner_of(obj) in rendered
    }
    apply = {
        app_id: differing
        for app_id, objects in rendered.items()
        if (differing := _differing(objects, state.objects))
    }
    needed = namespaces_of(apps)
    return Decision(
        namespaces=[
            namespace(name)
            for name in namespaces_of(ready)
            if not usable(state.namespaces.get(name))
        ],
        masters=_differing((masters[host] for host in hosts(ready)), state.objects),
        apply=apply,
        undecided=[app["id"] for app in apps if "failed" not in app and "image" not in app],
        delete=[obj for key, obj in state.objects.items() if key not in kept | old.keys()],
        old_configs={
            app_id: [obj for obj in old.values() if owner_of(obj) == app_id] for app_id in apply
        },
        spare_namespaces=[
            name
            for name, obj in state.namespaces.items()
            if name not in needed and is_own(obj) and usable(obj)
        ],
    )


def namespaces_of(apps: Iterable[App]) -> list[str]:
    """The namespaces that apps need, that of their routes included."""
    apps = list(apps)
    routes = {ROUTES_NAMESPACE} if hosts(apps) else set()
    return sorted({app["namespace"] for app in apps} | routes)


def _differing(wanted: Iterable[Object], live: Mapping[Key, Object]) -> list[Object]:
    """The objects that are not in the cluster as they should be.

    The hash among their annotations tells what the rendered object no longer says, the other
    fields what was edited since.
    """
    return [obj for obj in wanted if not contains(live.get(key_of(obj)), obj)]


def _flat(groups: Iterable[Iterable[Object]]) -> list[Object]:
    return [obj for group in groups for obj in group]

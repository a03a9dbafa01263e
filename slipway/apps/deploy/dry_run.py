"""What a run would do, app by app, as a check finds it out; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.apps.app import App, Built
from slipway.apps.deploy.decide import Decision
from slipway.apps.environments.rows import in_one_line
from slipway.apps.manifests.jobs import is_job
from slipway.apps.manifests.labels import BRANCH, NAME, owner_of, pod_hash
from slipway.apps.manifests.network import reached
from slipway.apps.placement import may_run
from slipway.kube.client import DEPLOYMENTS, INGRESSES, Object
from slipway.kube.objects import Key, key_of
from slipway.kube.workloads import template_of
from slipway.text import aligned

COLUMNS = ("APP", "BRANCH", "NAMESPACE", "WOULD")

IN_ORDER = ("run", "roll", "update", "route", "remove")
"""What is done in the cluster: jobs, new pods, other objects of the app, its routes, its end."""


@dataclass(frozen=True)
class Intent:
    """What would be done in the cluster for one app, in words of IN_ORDER."""

    id: str
    name: str
    namespace: str
    branch: str
    would: Sequence[str]


def intents(apps: Iterable[App], decision: Decision, live: Mapping[Key, Object]) -> list[Intent]:
    """What a decision means for each app, and for those that are to go."""
    by_id = {app.id: app for app in apps}
    would: dict[str, set[str]] = {app_id: set() for app_id in by_id}
    for app_id, objects in decision.apply.items():
        would[app_id] |= {_verb(obj, live.get(key_of(obj))) for obj in objects}
    for app_id in (*decision.extras, *decision.leftovers, *decision.unscaled, *decision.outdated):
        would[app_id].add("update")
    for app_id in decision.undecided:
        would[app_id].add("roll")
        if by_id[app_id].ingress and not _runs(app_id, live):
            would[app_id].add("route")
    gone: dict[str, Object] = {}
    for obj in decision.delete:
        owner = owner_of(obj)
        if owner in by_id:
            would[owner].add("route" if obj["kind"] == INGRESSES.kind else "update")
        elif NAME in obj["metadata"]["labels"] and (
            obj["kind"] == DEPLOYMENTS.kind or owner not in gone
        ):
            gone[owner] = obj
    staying = [
        Intent(app_id, app.name, app.namespace, app.git_branch, _sorted(would[app_id]))
        for app_id, app in by_id.items()
    ]
    return staying + [_removal(owner, obj) for owner, obj in sorted(gone.items())]


def _runs(app_id: str, live: Mapping[Key, Object]) -> bool:
    namespace, _, name = app_id.partition("/")
    return (DEPLOYMENTS.kind, namespace, name) in live


def before_the_cluster(apps: Iterable[App]) -> list[Intent]:
    """What would be done where there is no cluster yet: everything."""
    return [
        Intent(
            app.id,
            app.name,
            app.namespace,
            app.git_branch,
            () if app.failed else ("roll", "route") if app.ingress else ("roll",),
        )
        for app in apps
    ]


def _verb(wanted: Object, live: Object | None) -> str:
    if wanted["kind"] == INGRESSES.kind:
        return "route"
    if is_job(wanted):
        return "run"
    if wanted["kind"] != DEPLOYMENTS.kind:
        return "update"
    return "update" if live and _pod_of(live) == _pod_of(wanted) else "roll"


def _pod_of(deployment: Object) -> str:
    return pod_hash(template_of(deployment))


def _removal(owner: str, obj: Object) -> Intent:
    namespace, _, name = owner.partition("/")
    branch = obj["metadata"].get("annotations", {}).get(BRANCH, "")
    return Intent(owner, name, namespace, branch, ("remove",))


def _sorted(words: Collection[str]) -> list[str]:
    return [word for word in IN_ORDER if word in words]


def table(
    apps: Iterable[App],
    intended: Iterable[Intent],
    pending: Collection[str],
    nodes: Mapping[str, Mapping[str, Any]],
    loaded: Mapping[str, Collection[str]],
) -> list[str]:
    """Return a line for each app that says what a run would do, under a heading.

    ``pending`` are the ids of apps with an image still to be had, ``nodes`` the cluster's nodes as
    :mod:`slipway.kube.nodes` has them, and ``loaded`` what a check says each of them would be sent.
    """
    by_id = {app.id: app for app in apps}
    lines = [COLUMNS]
    for intent in intended:
        steps = _steps(by_id.get(intent.id), intent, intent.id in pending, nodes, loaded)
        text = ", ".join(steps) or "nothing"
        app = by_id.get(intent.id)
        if app and app.allow_kinds:
            kinds = ", ".join(sorted(app.allow_kinds))
            text += f"; may bring {kinds}, applied by the operator"
        text += "".join([*_rights(app), *_ways(app, by_id.values())]) if app else ""
        lines.append((intent.name, intent.branch, intent.namespace, text))
    return aligned(lines)


def _rights(app: App) -> Iterator[str]:
    """What its pods may do by the API."""
    for rule in app.rbac:
        yield f"; may {', '.join(rule.verbs)} {', '.join(rule.resources)} of its namespace"


def _ways(app: App, apps: Iterable[App]) -> Iterator[str]:
    """Whom its environment reaches on the network beside what all reach."""
    for entry in app.reach:
        target = reached(app, entry, apps)
        yield f"; reaches {target.label if target else f'{entry.app} nowhere'}"


def _steps(
    app: App | None,
    intent: Intent,
    is_pending: bool,
    nodes: Mapping[str, Mapping[str, Any]],
    loaded: Mapping[str, Collection[str]],
) -> list[str]:
    if app is None:
        return [*intent.would]
    if app.failed:
        return [f"FAIL at {app.failed.step}: {in_one_line(app.failed.reason)}"]
    own = app.images if isinstance(app, Built) else set()
    if is_pending and not own:
        on = [name for name, node in nodes.items() if may_run(app.node_selector, node)]
        return ["build", f"load to {_named(on) or 'its nodes'}", *intent.would]
    on = [name for name, refs in loaded.items() if not own.isdisjoint(refs)]
    return [
        *(["fetch images of its manifests"] if is_pending else []),
        *([f"load to {_named(on)}"] if on else []),
        *intent.would,
    ]


def _named(nodes: Iterable[str]) -> str:
    return " and ".join(sorted(nodes))

"""What the cluster itself does not tell of environments, noted in it for the list of them all.

One ConfigMap beside the routes has an entry for each environment: what it is, where it answers,
and why it failed last. No secret is in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from slipway.apps.app import App
from slipway.apps.environments.resolve import Leaving, as_text
from slipway.apps.environments.rows import notes_in
from slipway.apps.manifests.labels import ENVIRONMENTS, NOTES_KEY, OWN, ROUTES_NAMESPACE
from slipway.apps.manifests.routes import url
from slipway.control_node.localhost import NO_PORTS, Ports
from slipway.kube.client import CONFIG_MAPS, Kube, Object
from slipway.kube.objects import contains

REASON_LINES = 4
REASON_LENGTH = 600
"""How much of a reason is noted: all notes have to fit into one object."""

PROOF = "verify"
"""The step that comes last, after the notes of the others, and speaks for itself alone."""

NO_ADDRESSES: Mapping[str, Sequence[str]] = MappingProxyType({})

Notes = dict[str, dict[str, Any]]
"""Entries by the app's id."""


def as_config_map(notes: Notes) -> Object:
    """The ConfigMap with these entries."""
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": {
            "name": ENVIRONMENTS,
            "namespace": ROUTES_NAMESPACE,
            "labels": dict(OWN),
        },
        "data": {NOTES_KEY: json.dumps(notes, indent=1, sort_keys=True)},
    }


def of_deployment(
    before: Notes,
    apps: Iterable[App],
    leaving: Collection[Leaving],
    redact: Callable[[str], str],
    now: datetime,
    ports: Ports = NO_PORTS,
    addresses: Mapping[str, Sequence[str]] = NO_ADDRESSES,
) -> Notes:
    """The entries after a deployment, all of them; whether routes answer is not known yet.

    Apps without a route are reached at their ``addresses``, which are by the apps' ids.
    """
    notes: Notes = {}
    for app in apps:
        old = before.get(app.id, {})
        entry = {
            "app": app.name,
            "namespace": app.namespace,
            "branch": app.git_branch,
            "commit": app.newest_commit,
            "urls": [url(rule, ports) for rule in app.rules] or [*addresses.get(app.id, ())],
        }
        of_proof = old.get("failing") and _step(old) == PROOF
        notes[app.id] = {**entry, **_failure(old, app, bool(of_proof), redact, now)}
    for left in leaving:
        own = {"app": left.name, "namespace": left.namespace, "branch": left.git_branch}
        end = {"failing": False, "until": left.until}
        notes[left.id] = {**before.get(left.id, {"commit": "", "urls": []}), **own, **end}
    return notes


def of_proof(
    before: Notes, apps: Iterable[App], redact: Callable[[str], str], now: datetime
) -> Notes:
    """The entries after the proof: only what it found out itself is new."""
    notes = dict(before)
    for app in apps:
        old = before.get(app.id)
        if old and (not app.failed or app.failed.step == PROOF):
            other = old.get("failing") and _step(old) != PROOF
            notes[app.id] = {**old, **_failure(old, app, bool(other), redact, now)}
    return notes


def note_proof(kube: Kube, apps: Iterable[App], redact: Callable[[str], str]) -> None:
    """Note which routes do not answer right, if that differs from what is noted."""
    live = kube.get(CONFIG_MAPS, ENVIRONMENTS, ROUTES_NAMESPACE)
    if live is not None:
        write(kube, live, of_proof(notes_in(live), apps, redact, datetime.now(UTC)))


def settle(kube: Kube, app_id: str) -> None:
    """Note that an app runs, whatever failed before."""
    live = kube.get(CONFIG_MAPS, ENVIRONMENTS, ROUTES_NAMESPACE)
    before = notes_in(live)
    if app_id in before:
        write(kube, live, {**before, app_id: {**before[app_id], "failing": False}})


def write(kube: Kube, live: Object | None, notes: Notes) -> None:
    """Have these entries in the cluster; raises ApiError."""
    wanted = as_config_map(notes)
    if not contains(live, wanted):
        kube.apply(wanted)


def _failure(
    old: Mapping[str, Any],
    app: App,
    still: bool,
    redact: Callable[[str], str],
    now: datetime,
) -> dict[str, Any]:
    """Whether an app fails now, and its last failure; ``still`` says that the old one holds."""
    if not app.failed:
        last = {"failure": old["failure"]} if "failure" in old else {}
        return {"failing": still, **last}
    failure = {"step": app.failed.step, "reason": _short(redact(app.failed.reason))}
    past = old.get("failure", {})
    same = past and old.get("failing") and failure.items() <= past.items()
    return {"failing": True, "failure": {**failure, "at": past["at"] if same else as_text(now)}}


def _step(entry: Mapping[str, Any]) -> str:
    """The step at which an app failed last."""
    return str(entry.get("failure", {}).get("step", ""))


def _short(reason: str) -> str:
    """A reason's first line, which says what failed, and its last, which tend to say why."""
    first, *others = [line.strip() for line in reason.splitlines() if line.strip()] or [""]
    text = "\n".join([first, *others[-REASON_LINES + 1 :]])
    return text if len(text) <= REASON_LENGTH else f"{text[: REASON_LENGTH - 1]}…"

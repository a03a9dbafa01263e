"""Make the apps in the cluster equal to their records: write what differs, wait, remove the rest.

One run reads all of Slipway's objects in five list calls and decides from them alone. An object
is written only if it is missing, was rendered differently the last time, or was changed by hand;
so a run with nothing to do writes nothing, and one app's change touches no other app.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from slipway.apps.decide import Decision, decide, namespaces_of
from slipway.apps.manifests.labels import OWN_SELECTOR, is_own, owner_of
from slipway.apps.manifests.routes import hosts
from slipway.apps.records import App, Record, fail
from slipway.apps.rollout import Rollouts
from slipway.apps.state import key_of, read_state, usable
from slipway.kube import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    ApiError,
    Kube,
    Object,
    resource_of,
)
from slipway.waiting import wait_until
from slipway.workloads import rolled_out

STEP = "deploy"
"""What a failure of this step is noted under."""

WORKERS = 8
"""Apps that are applied at the same time."""

TERMINATION_SECONDS = 120.0
"""How long a namespace that is being deleted may take before its new app gives up."""

KEEPING = (DEPLOYMENTS, STATEFUL_SETS, PODS, SERVICES, CONFIG_MAPS, SECRETS, VOLUME_CLAIMS)
"""Kinds that keep a namespace of Slipway's alive when somebody else put one there."""


@dataclass(frozen=True)
class Change:
    """One object before and after; None where it does not exist."""

    before: Object | None
    after: Object | None


@dataclass(frozen=True)
class Outcome:
    """The records with their failures, and what was written."""

    apps: list[Record]
    changes: list[Change]
    changed: bool


def deploy(
    kube: Kube,
    apps: Iterable[App],
    ingress_class: str,
    *,
    seconds: float,
    say: Callable[[str], None],
    dry_run: bool = False,
) -> Outcome:
    """Write what differs, wait for the roll-outs for ``seconds`` at most, remove what left.

    An app that cannot be deployed gets ``failed`` in its record, with the reason; the others go
    on, and what served before still serves. ``say`` shows a line of progress.

    With ``dry_run`` the API checks each object, and nothing is stored or waited for. Objects of a
    namespace that does not exist yet cannot be checked there, nor can apps without an image.
    """
    run = _Run(kube, [_with_config(app) for app in apps], say, dry_run=dry_run)
    return run.deploy(ingress_class, seconds)


def render_change(change: Change) -> dict[str, str]:
    """A change as Ansible's diff shows it."""
    title = " ".join(part for part in key_of(change.after or change.before or {}) if part)
    return {
        "before_header": title,
        "after_header": title,
        "before": _as_yaml(change.before),
        "after": _as_yaml(change.after),
    }


class _Run:
    """One deployment in the making."""

    def __init__(
        self, kube: Kube, records: Iterable[Record], say: Callable[[str], None], *, dry_run: bool
    ) -> None:
        self.kube = kube
        self.say = say
        self.dry_run = dry_run
        self.records: dict[str, Record] = {record["id"]: record for record in records}
        self.state = read_state(kube)
        self.changes: list[Change] = []

    def deploy(self, ingress_class: str, seconds: float) -> Outcome:
        """Decide, and carry it out."""
        decision = decide(self.records.values(), self.state, ingress_class)
        for obj in decision.namespaces:
            name = obj["metadata"]["name"]
            users = [app for app in self.records.values() if name in namespaces_of([app])]
            self._attempt(users, partial(self._make_namespace, obj))
        for obj in decision.masters:
            host = obj["metadata"]["name"]
            users = [app for app in self.records.values() if host in hosts([app])]
            self._attempt(users, partial(self._apply, [obj]))
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(self._apply_app, decision.apply, decision.apply.values()))
        retried = False if self.dry_run else self._wait(decision, seconds)
        for obj in reversed(decision.delete):
            self._delete(obj)
        if not self.dry_run:
            for app_id in decision.undecided:
                fail(self.records[app_id], STEP, "it has no image: the build did not run")
            for app_id, configs in decision.old_configs.items():
                if configs and "failed" not in self.records[app_id]:
                    self._forget(configs, self.records[app_id])
        for name in decision.spare_namespaces:
            self._delete_namespace(name)
        changed = bool(self.changes) or retried or (self.dry_run and bool(decision.undecided))
        return Outcome(list(self.records.values()), self.changes, changed)

    def _attempt(self, users: Iterable[Record], action: Callable[[], None]) -> None:
        """Do something that the apps ``users`` need; a refusal is their failure alone."""
        try:
            action()
        except ApiError as error:
            for record in users:
                fail(record, STEP, str(error))

    def _apply_app(self, app_id: str, objects: Sequence[Object]) -> None:
        record = self.records[app_id]
        if "failed" not in record:
            self._attempt([record], partial(self._apply, objects))

    def _apply(self, objects: Sequence[Object]) -> None:
        """Apply objects of one namespace in their order, if none of them is somebody else's."""
        known = usable(self.state.namespaces.get(objects[0]["metadata"]["namespace"]))
        before = {key_of(obj): self.state.objects.get(key_of(obj)) for obj in objects}
        for obj in objects:
            if known and not before[key_of(obj)]:
                self._refuse_foreign(obj)
        for obj in objects:
            sendable = known or not self.dry_run
            after = self.kube.apply(obj, dry_run=self.dry_run) if sendable else obj
            self.changes.append(Change(before[key_of(obj)], after))

    def _refuse_foreign(self, obj: Object) -> None:
        """Raise ApiError when somebody else's object has the name that this one is to have."""
        kind, place, name = key_of(obj)
        found = self.kube.get(resource_of(obj), name, place)
        if found and not is_own(found):
            what = "it exists and was not made by Slipway: rename the app, or remove what is there"
            raise ApiError(f"{kind} {place}/{name}", 409, what)

    def _make_namespace(self, obj: Object) -> None:
        """Create a namespace, if need be after the one that is being deleted has gone."""
        name = obj["metadata"]["name"]
        if name in self.state.namespaces and not self.dry_run:
            self.say(f"namespace {name} is still being deleted: waiting until it has gone")
            self._wait_until_gone(name)
        self.changes.append(Change(None, self.kube.apply(obj, dry_run=self.dry_run)))

    def _wait_until_gone(self, name: str) -> None:
        """Wait for the end of a namespace; raises ApiError when it takes too long."""
        if not wait_until(lambda: not self.kube.get(NAMESPACES, name), TERMINATION_SECONDS, 1.0):
            what = f"its deletion takes longer than {TERMINATION_SECONDS:.0f} s"
            raise ApiError(f"namespace {name}", 409, what)

    def _wait(self, decision: Decision, seconds: float) -> bool:
        """Wait for what was applied, and for what an earlier run left unfinished.

        Returns whether pods of an earlier run were replaced to have their next try at once.
        """
        unfinished = {
            owner_of(obj): obj
            for key, obj in self.state.objects.items()
            if key[0] == DEPLOYMENTS.kind and not rolled_out(obj)
        }
        rolling = unfinished.keys() | {
            app_id
            for app_id, objects in decision.apply.items()
            if any(obj["kind"] == DEPLOYMENTS.kind for obj in objects)
        }
        waiting = {
            app_id: record
            for app_id, record in self.records.items()
            if app_id in rolling and "failed" not in record and "image" in record
        }
        rollouts = Rollouts(self.kube, waiting, self.say)
        retried = rollouts.retry(
            [
                obj
                for app_id, obj in unfinished.items()
                if app_id in waiting and app_id not in decision.apply
            ]
        )
        for app_id, reason in rollouts.wait(seconds).items():
            fail(self.records[app_id], STEP, reason)
        return retried

    def _delete(self, obj: Object) -> None:
        kind, place, name = key_of(obj)
        doing = "would remove" if self.dry_run else "removing"
        self.say(f"{doing} {kind} {f'{place}/{name}' if place else name}")
        if self.dry_run or self.kube.delete(resource_of(obj), name, place):
            self.changes.append(Change(obj, None))

    def _forget(self, configs: Iterable[Object], record: Record) -> None:
        """Delete the configurations that no version which can be rolled back to has."""
        replica_sets = self.kube.list(
            REPLICA_SETS, namespace=record["namespace"], labels=OWN_SELECTOR
        ).items
        used = {
            volume["configMap"]["name"]
            for replica_set in replica_sets
            for volume in replica_set["spec"]["template"]["spec"].get("volumes", [])
            if "configMap" in volume
        }
        for config in configs:
            if config["metadata"]["name"] not in used:
                self._delete(config)

    def _delete_namespace(self, name: str) -> None:
        if foreign := _foreign(self.kube, name):
            self.say(f"namespace {name} stays, it still has {foreign}")
        else:
            self._delete(self.state.namespaces[name])


def _with_config(app: App) -> Record:
    """A copy of a record with the text of config files that its own repository has.

    A file that cannot be read is that app's failure. Without a checkout the record is left alone:
    it failed before, or this is a check of an app that was never fetched.
    """
    record = dict(app)
    if "failed" in record or "checkout" not in record:
        return record
    root = Path(record["checkout"]).resolve()
    try:
        record["config_files"] = [_with_content(root, file) for file in app["config_files"]]
    except (OSError, ValueError) as error:
        fail(record, STEP, f"a config file from its repository cannot be read: {error}")
    return record


def _with_content(root: Path, file: Mapping[str, str]) -> dict[str, str]:
    """A config file with its text, read from below ``root`` when it has none."""
    if "content" in file:
        return dict(file)
    source = (root / file["source"]).resolve()
    if not source.is_relative_to(root):
        raise ValueError(f"{file['source']} leads out of the repository")
    return {"path": file["path"], "content": source.read_text(encoding="utf-8")}


def _foreign(kube: Kube, name: str) -> str:
    """What somebody else keeps in a namespace, by kind and name; empty when there is nothing."""
    things = [
        f"{resource.kind} {obj['metadata']['name']}"
        for resource in KEEPING
        for obj in kube.list(resource, namespace=name).items
        if not is_own(obj) and obj["metadata"]["name"] != "kube-root-ca.crt"
    ]
    return ", ".join(things)


def _as_yaml(obj: Object | None) -> str:
    """An object without what only the API's own bookkeeping needs."""
    if obj is None:
        return ""
    bookkeeping = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")
    metadata = {key: value for key, value in obj["metadata"].items() if key not in bookkeeping}
    shown = {key: value for key, value in obj.items() if key != "status"}
    text: str = yaml.safe_dump({**shown, "metadata": metadata}, sort_keys=True)
    return text

"""An app's extras: the objects of its manifests and charts, made Slipway's to keep and remove.

Their labels and annotations stay; three of Slipway's are added. The kinds of an app's extras are
noted on its Deployment, so that what leaves the list is found without a look at every kind there
is (after kubectl's ApplySet, whose parent object notes the kinds of its members).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from slipway.apps.app import FIRST, App
from slipway.apps.manifests.bounds import (
    Surroundings,
    breaches,
    group_of,
    is_allowed_kind,
    is_named,
)
from slipway.apps.manifests.certificates import name_of
from slipway.apps.manifests.labels import EXTRA_KINDS, EXTRA_OF, OWNER, named
from slipway.apps.manifests.passwords import name_of_keeper
from slipway.apps.manifests.rbac import access
from slipway.apps.manifests.routes import minion_of, minions
from slipway.apps.manifests.secrets import sealed_secret
from slipway.errors import Told
from slipway.kube.apply import in_order
from slipway.kube.client import (
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    INGRESSES,
    JOBS,
    NAMESPACES,
    SECRETS,
    SERVICES,
    VOLUME_CLAIMS,
    Object,
)
from slipway.kube.objects import sealed

Kind = tuple[str, str]
"""API version and kind."""

DEFINITION = "CustomResourceDefinition"
"""Definitions are shared: several branches may bring the same one, and none takes it along when
it goes, as with it would go every object of its kind, of all namespaces."""


_NOTED = re.compile(r"((?:[a-z0-9.-]+/)?v[a-z0-9]+) ([A-Za-z0-9]+)")


@dataclass(frozen=True)
class Extra:
    """One object as a manifest has it, and where that is: ``deploy/redis.yaml:12``.

    ``is_operators`` says that the operator wrote it, and not whoever can push a branch. Kinds that
    are ``allowed`` beyond those of a branch, and without its limits, are named in apps.yml. The
    images of its pods are ``carried`` to nodes, unless those pull them themselves.
    """

    where: str
    obj: Object
    is_operators: bool = False
    allowed: Collection[str] = ()
    carried: bool = True

    @property
    def is_vouched_for(self) -> bool:
        """Whether the operator applies it, and not the environment."""
        return is_named(self.obj, self.allowed)


class Misplaced(Told):
    """An extra that cannot be applied where it wants to be."""


def check(extra: Extra, around: Surroundings) -> None:
    """Raise Misplaced with all that an extra has and that its environment may not have."""
    obj = extra.obj
    title = f"{extra.where}: {obj['kind']} {obj['metadata']['name']}"
    if kind_of(obj) == (NAMESPACES.api_version, NAMESPACES.kind):
        raise Misplaced(f"{title}: Slipway makes the namespaces itself: remove it")
    if extra.is_vouched_for:
        return
    if not is_allowed_kind(obj):
        kind = f"{obj['kind']} ({group_of(obj)})" if group_of(obj) else str(obj["kind"])
        fix = f"add allow_kinds: [{obj['kind']}] to its entry in apps.yml"
        if not extra.is_operators:
            fix = (
                "remove it, or have whoever keeps apps.yml bring it as file or content, with "
                f"allow_kinds: [{obj['kind']}]"
            )
        raise Misplaced(f"{title}: {kind} is no kind that a branch may bring: {fix}")
    wrong = [f"{title}: {what} is not for a branch: {fix}" for what, fix in breaches(obj, around)]
    if wrong:
        raise Misplaced("\n".join(wrong))


def adopted(extra: Extra, app: App, *, namespaced: bool, ingress_class: str) -> Object:
    """The extra as it is to be applied for the app; raises Misplaced with the reason."""
    obj = extra.obj
    metadata = obj["metadata"]
    title = f"{obj['kind']} {metadata['name']}"
    if kind_of(obj) == (INGRESSES.api_version, INGRESSES.kind) and not extra.is_vouched_for:
        obj = minion_of(obj, ingress_class)
        metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    if namespaced and namespace not in (None, "", app.namespace):
        reason = f"{title} wants to be in namespace {namespace}; an app's objects are in its own"
        raise Misplaced(f"{extra.where}: {reason}, {app.namespace}: leave the namespace out")
    shared = is_definition(obj)
    owner = {} if shared else {OWNER: app.id}
    placed = {
        **obj,
        "metadata": {
            **{key: value for key, value in metadata.items() if key != "namespace"},
            **({"namespace": app.namespace} if namespaced else {}),
            "labels": {**(metadata.get("labels") or {}), EXTRA_OF: "" if shared else app.name},
            "annotations": {**(metadata.get("annotations") or {}), **owner},
        },
    }
    if kind_of(obj) == (SECRETS.api_version, SECRETS.kind):
        return sealed_secret(placed)
    return sealed(placed)


def clashes(apps: Iterable[App], extras: Mapping[str, list[Object]]) -> Iterator[tuple[str, str]]:
    """Each app with an extra that something else has the name of, and the reason.

    Branches of one app easily have the same cluster-wide object; each of them would take it from
    the others.
    """
    taken = {key: f"the app {app.id}'s own" for app in apps for key in _own_keys(app)}
    shared: dict[tuple[str, str, str], Object] = {}
    for app_id, objects in extras.items():
        for obj in objects:
            key = extra_key(obj)
            title = f"{obj['kind']} {obj['metadata']['name']}"
            if is_definition(obj):
                if shared.setdefault(key, obj) != obj:
                    yield app_id, f"{title} is not the same as that of another app"
            elif key in taken:
                unique = "give it another name"
                if "namespace" not in obj["metadata"]:
                    unique = "it is for the whole cluster: put {{ namespace }} into its name"
                yield app_id, f"{title} of its manifests is already {taken[key]}: {unique}"
            else:
                taken[key] = f"one of {app_id}'s manifests"


def in_stages(objects: Iterable[Object]) -> tuple[list[Object], list[Object]]:
    """What is applied before the app's own objects and what after them: its webhooks."""
    sorted_objects = in_order(objects)
    late = [obj for obj in sorted_objects if obj["kind"].endswith("WebhookConfiguration")]
    return [obj for obj in sorted_objects if obj not in late], late


def settings(app: App, extras: Iterable[Object]) -> list[Object]:
    """What ConfigMaps among the extras say of which the app has variables: a change rolls it.

    Secrets are left out: the hash of a pod, which many may read, must not tell of values.
    """
    names = {source.config_map for source in app.env.values() if source.config_map}
    return [
        {"name": obj["metadata"]["name"], "data": obj.get("data")}
        for obj in extras
        if kind_of(obj) == (CONFIG_MAPS.api_version, CONFIG_MAPS.kind)
        and obj["metadata"]["name"] in names
    ]


def kinds_text(objects: Iterable[Object]) -> str:
    """The kinds of objects, as a Deployment notes them."""
    return ",".join(sorted({" ".join(kind_of(obj)) for obj in objects if not is_definition(obj)}))


def kinds_noted(objects: Iterable[Object]) -> set[Kind]:
    """The kinds that objects note; what is no kind was not written by Slipway."""
    texts = (obj["metadata"].get("annotations", {}).get(EXTRA_KINDS, "") for obj in objects)
    kinds = (_NOTED.fullmatch(kind) for text in texts for kind in text.split(","))
    return {(kind[1], kind[2]) for kind in kinds if kind}


def kind_of(obj: Object) -> Kind:
    return obj["apiVersion"], obj["kind"]


def extra_key(obj: Object) -> tuple[str, str, str]:
    """What tells an extra from all others, whatever its kind's version."""
    metadata = obj["metadata"]
    group = obj["apiVersion"].rpartition("/")[0]
    kind = f"{obj['kind']}.{group}" if group else str(obj["kind"])
    return kind, metadata.get("namespace", ""), metadata["name"]


def owner_of_extra(obj: Object) -> str:
    """The id of the app that an extra belongs to; empty for what apps share."""
    return str(obj["metadata"].get("annotations", {}).get(OWNER, ""))


def is_definition(obj: Object) -> bool:
    """Whether the object defines a kind."""
    return bool(obj["kind"] == DEFINITION)


def _own_keys(app: App) -> list[tuple[str, str, str]]:
    """The keys of an app's own objects whose names do not depend on their content."""
    of_names = [
        {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"namespace": app.namespace, "name": name},
        }
        for resource, name in (
            (SERVICES, app.name),
            (DEPLOYMENTS, app.name),
            (SECRETS, name_of_keeper(app)),
            *((DEPLOYMENTS, named(app, process)) for process in app.processes),
            *((CRON_JOBS, named(app, name)) for name, job in app.jobs.items() if job.schedule),
            *((JOBS, named(app, name)) for name, job in app.jobs.items() if job.when == FIRST),
            *((VOLUME_CLAIMS, named(app, volume)) for volume in app.volumes),
            *([(SECRETS, name_of(app))] if app.certificate else []),
        )
    ]
    return [extra_key(obj) for obj in (*of_names, *access(app), *minions(app, ""))]

"""People who may use the cluster: ``slipway_people``, and the bindings that it comes to.

Somebody is a user of the API, and in no group. What that user may is said by bindings in
namespaces, which each run makes anew from the variable: a certificate says who somebody is, and
never what they may.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

import msgspec

from slipway.apps.manifests.labels import MANAGED_BY, OWN
from slipway.errors import Problem, SlipwayError
from slipway.kube.client import (
    CLUSTER_ROLES,
    NAMESPACES,
    POLICIES,
    POLICY_BINDINGS,
    ROLE_BINDINGS,
    ApiError,
    Kube,
    Object,
)
from slipway.kube.namespaces import usable
from slipway.kube.objects import Change, Key, by_key, contains, key_of, said, sealed
from slipway.kube.policies import NO_TOKEN, checked

VARIABLE = "slipway_people"

LIFE = timedelta(hours=12)
"""How long somebody is known by a certificate: a day's work."""

LABEL = "slipway.internal/people"
"""On each binding and role of people, and on nothing else."""

EVERY = "*"
"""What stands for each app."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9._@-]{0,61}[a-z0-9])?")
_RBAC = "rbac.authorization.k8s.io"

_READ = ["get", "list", "watch"]
_WRITE = [*_READ, "create", "update", "patch", "delete", "deletecollection"]

_DEVELOP = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]},
    {
        "apiGroups": [""],
        "resources": ["pods/attach", "pods/exec", "pods/portforward"],
        "verbs": ["get", "create"],
    },
    {
        "apiGroups": ["apps"],
        "resources": ["deployments/scale", "statefulsets/scale"],
        "verbs": ["get", "update", "patch"],
    },
]
"""Beside reading: to work with what runs. Nothing that is written runs, and no Secret is read."""

_ADMIN = [
    {
        "apiGroups": [""],
        "resources": [
            *("configmaps", "persistentvolumeclaims", "pods", "secrets", "serviceaccounts"),
            *("services", "events"),
        ],
        "verbs": _WRITE,
    },
    {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
    {
        "apiGroups": ["apps"],
        "resources": ["daemonsets", "deployments", "replicasets", "statefulsets"],
        "verbs": _WRITE,
    },
    {"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": _WRITE},
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": _WRITE},
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": _WRITE},
    {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["ingresses", "networkpolicies"],
        "verbs": _WRITE,
    },
]
"""Beside developing: to write what runs. No rights, which would outlive those of who gives them."""

ROLES = {
    "view": ("view",),
    "develop": ("view", "slipway-people-develop"),
    "admin": ("view", "slipway-people-develop", "slipway-people-admin"),
}
"""By what somebody may, the cluster's roles that are bound; the first one is Kubernetes' own."""

_NAME_OF_ALL = "slipway-people"
_USERS = "slipway:person:"

_OWN_LABEL = f"object.metadata.labels[?'{MANAGED_BY}'].orValue('') == '{OWN[MANAGED_BY]}'"

_RULES = {
    "the token of an account, which outlives their rights, is": NO_TOKEN,
    "a label by which an object would be Slipway's own is": (
        f"!has(object.metadata.labels) || !({_OWN_LABEL}) || (request.operation == 'UPDATE' && "
        "has(oldObject.metadata.labels) && object.metadata.labels == oldObject.metadata.labels)"
    ),
}
"""What the API server checks of what people write: rights follow labels, and end with a run."""

_RESOURCES = {each.kind: each for each in (CLUSTER_ROLES, ROLE_BINDINGS, POLICIES, POLICY_BINDINGS)}
"""What people's rights are made of."""

_OWN_ROLES = {"slipway-people-develop": _DEVELOP, "slipway-people-admin": _ADMIN}


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where somebody may something: in the namespaces of apps, and in others by their names."""

    apps: list[str] = []
    namespaces: list[str] = []

    def has(self, namespace: str, apps: Collection[str]) -> bool:
        """Whether a namespace is meant, by its name or by what is in it."""
        by_app = bool(apps) and (EVERY in self.apps or not {*apps}.isdisjoint(self.apps))
        return by_app or namespace in self.namespaces


@dataclass(frozen=True)
class Person:
    """Somebody, and what they may where."""

    name: str
    may: Mapping[str, Where]

    @property
    def user(self) -> str:
        """As whom the API knows them."""
        return f"{_USERS}{self.name}"

    def roles_in(self, namespace: str, apps: Collection[str]) -> set[str]:
        """The roles that they have in a namespace."""
        levels = (level for level, where in self.may.items() if where.has(namespace, apps))
        return {role for level in levels for role in ROLES[level]}


def people(given: Mapping[str, Any]) -> list[Person]:
    """The people of the variable; SlipwayError with all that is wrong."""
    problems: list[Problem] = []
    found = [
        Person(str(name), dict(_grants(str(name), may, problems))) for name, may in given.items()
    ]
    if problems:
        raise SlipwayError(problems)
    return found


def person(given: Mapping[str, Any], name: str) -> Person:
    """The one of that name; SlipwayError where there is none."""
    for each in people(given):
        if each.name == name:
            return each
    near = get_close_matches(name, given, 1)
    fix = f"did you mean {near[0]}?" if near else "add them in group_vars: docs/security.md#people"
    raise SlipwayError(Problem(VARIABLE, f"there is nobody called '{name}'", fix))


def unknown(everybody: Iterable[Person], environments: Mapping[str, Collection[str]]) -> list[str]:
    """Lines about apps that have no environment, and namespaces that there are not.

    That is no mistake: an app's first environment may be yet to come.
    """
    apps = {EVERY}.union(*environments.values())
    return [
        f"{VARIABLE}.{each.name}.{level}: there is no {kind} {name} yet"
        for each in everybody
        for level, where in each.may.items()
        for kind, names, known in (
            ("app", where.apps, apps),
            ("namespace", where.namespaces, environments.keys()),
        )
        for name in names
        if name not in known
    ]


def keep(
    kube: Kube,
    everybody: Collection[Person],
    environments: Mapping[str, Collection[str]],
    *,
    dry_run: bool = False,
) -> list[Change]:
    """Have the cluster's bindings of people as they are to be, and no others; return what changes.

    ``environments`` are all namespaces that can be used, with the apps in them. With ``dry_run``,
    nothing is written.
    """
    wanted = by_key(map(sealed, _objects(everybody, environments)))
    found = by_key(
        obj for resource in _RESOURCES.values() for obj in kube.list(resource, labels=LABEL).items
    )
    changes = [Change(found[key], None) for key in found.keys() - wanted.keys()]
    changes += [
        Change(found.get(key), obj)
        for key, obj in wanted.items()
        if not contains(found.get(key), said(obj))
    ]
    changes.sort(key=_order)
    for change in [] if dry_run else changes:
        _carry_out(kube, change)
    return changes


def namespaces(kube: Kube) -> set[str]:
    """Those that can be used."""
    return {each["metadata"]["name"] for each in kube.list(NAMESPACES).items if usable(each)}


def _grants(name: str, given: Any, problems: list[Problem]) -> Iterator[tuple[str, Where]]:
    """What somebody may where; what is wrong with it is added to the problems."""
    place = f"{VARIABLE}.{name}"
    if not _NAME.fullmatch(name):
        fix = "write up to 63 lower case letters, digits, '.', '_', '@' and '-'"
        problems.append(Problem(place, "is no name of a person", fix))
    if not isinstance(given, Mapping) or not given:
        fix = f"write {{view: {{apps: [...]}}}}, or {' or '.join(list(ROLES)[1:])}"
        problems.append(Problem(place, "does not say what they may", fix))
        return
    for level, value in given.items():
        if level not in ROLES:
            fix = f"write {', '.join(ROLES)}"
            problems.append(Problem(f"{place}.{level}", "is nothing that one may", fix))
            continue
        fix = "write {apps: [...], namespaces: [...]}; ['*'] is every app"
        try:
            where = msgspec.convert(value, Where)
        except msgspec.ValidationError as error:
            problems.append(Problem(f"{place}.{level}", f"is no place: {error}", fix))
            continue
        if not (where.apps or where.namespaces):
            problems.append(Problem(f"{place}.{level}", "does not say where", fix))
        if EVERY in where.namespaces:
            what = "'*' stands for apps alone"
            problems.append(Problem(f"{place}.{level}.namespaces", what, "name each namespace"))
        yield level, where


def _objects(
    everybody: Collection[Person], environments: Mapping[str, Collection[str]]
) -> Iterator[Object]:
    """The roles, and for each namespace a binding of each role that somebody has there."""
    if everybody:
        about = {"name": _NAME_OF_ALL, "labels": {LABEL: "policy"}}
        anybody = f"request.userInfo.username.startsWith('{_USERS}')"
        yield from checked(about, "people", anybody, _RULES, "people")
    for name, rules in _OWN_ROLES.items() if everybody else ():
        yield _role(name, rules)
    for namespace, apps in sorted(environments.items()):
        for role in ROLES["admin"]:
            users = [each.user for each in everybody if role in each.roles_in(namespace, apps)]
            if users:
                yield _binding(namespace, role, sorted(users))


def _role(name: str, rules: list[dict[str, list[str]]]) -> Object:
    return {
        "apiVersion": CLUSTER_ROLES.api_version,
        "kind": CLUSTER_ROLES.kind,
        "metadata": {"name": name, "labels": {LABEL: "role"}},
        "rules": rules,
    }


def _binding(namespace: str, role: str, users: list[str]) -> Object:
    name = role if role in _OWN_ROLES else f"slipway-people-{role}"
    return {
        "apiVersion": ROLE_BINDINGS.api_version,
        "kind": ROLE_BINDINGS.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: "binding"}},
        "roleRef": {"apiGroup": _RBAC, "kind": CLUSTER_ROLES.kind, "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user} for user in users],
    }


def _order(change: Change) -> tuple[bool, Key]:
    """What is taken away comes first."""
    return change.after is not None, key_of(change.after or change.before or {})


def _carry_out(kube: Kube, change: Change) -> None:
    """Apply an object, or delete it; a binding of another role cannot be changed, and is made anew.

    A namespace may have gone since it was looked for, with all that was in it.
    """
    before, after = change.before, change.after
    moved = before and after and before.get("roleRef") != after.get("roleRef")
    if before and (after is None or moved):
        metadata = before["metadata"]
        kube.delete(_RESOURCES[before["kind"]], metadata["name"], metadata.get("namespace"))
    if after:
        try:
            kube.apply(after)
        except ApiError as error:
            if error.status not in (403, 404) or _is_there(
                kube, after["metadata"].get("namespace")
            ):
                raise


def _is_there(kube: Kube, namespace: str | None) -> bool:
    """Whether a namespace can be used, or it is about none."""
    return namespace is None or usable(kube.get(NAMESPACES, namespace))

"""A namespace as an environment: what Slipway puts into it before anything of an app.

Nothing here is an app's, and no app may bring anything of the kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

from slipway.apps.app import LOAD_BALANCER, NODE_PORT, RESTRICTED, App
from slipway.apps.manifests.bounds import KINDS
from slipway.apps.manifests.labels import MANAGED_BY, OWN
from slipway.apps.manifests.pod import USUAL_MEMORY
from slipway.apps.manifests.routes import MERGEABLE
from slipway.kube.client import (
    CLUSTER_ROLES,
    LIMIT_RANGES,
    NAMESPACES,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Kube,
    Object,
)
from slipway.kube.objects import amount, quantity, sealed
from slipway.kube.policies import NO_TOKEN, checked

NAME = "slipway-environment"
"""The name of the role, and of what is in every environment."""

GROUP = "slipway:environments"
"""The group of the identities of all environments."""

_OUTWARD = ("services.loadbalancers", "services.nodeports")

NO_QUOTA: Mapping[str, str] = MappingProxyType(dict.fromkeys(_OUTWARD, "0"))
"""What nobody has, however much there is of all else."""

POD_SECURITY = "pod-security.kubernetes.io/"

_RULES = {
    "finalizers and owners are": (
        "request.kind.kind == 'PersistentVolumeClaim' || "
        "(!has(object.metadata.finalizers) && !has(object.metadata.ownerReferences))"
    ),
    "Slipway's own labels are": (
        "!has(object.metadata.labels) || "
        f"!('{MANAGED_BY}' in object.metadata.labels) || "
        f"object.metadata.labels['{MANAGED_BY}'] != '{OWN[MANAGED_BY]}'"
    ),
    "a Service that leads out of its namespace is": (
        "request.kind.kind != 'Service' || (object.spec.type == 'ClusterIP' && "
        "!has(object.spec.externalIPs) && !has(object.spec.loadBalancerIP) && "
        "!has(object.spec.externalName))"
    ),
    "an Ingress other than a minion with a host is": (
        "request.kind.kind != 'Ingress' || (!has(object.spec.defaultBackend) && "
        "!has(object.spec.tls) && has(object.metadata.annotations) && "
        f"'{MERGEABLE}' in object.metadata.annotations && "
        f"object.metadata.annotations['{MERGEABLE}'] == 'minion' && has(object.spec.rules) && "
        "object.spec.rules.all(rule, has(rule.host) && !rule.host.startsWith('*')))"
    ),
    "a volume by its name is": (
        "request.kind.kind != 'PersistentVolumeClaim' || request.operation != 'CREATE' || "
        "!has(object.spec.volumeName)"
    ),
    "the token of an account is": NO_TOKEN,
}
"""What the API server checks of objects beyond their kind, by what is refused, in its language."""

_RBAC = "rbac.authorization.k8s.io"


def identity(namespace: str) -> str:
    """The user as whom the API sees what a branch brings to a namespace."""
    return f"slipway:environment:{namespace}"


def acting_in(kube: Kube, namespace: str) -> Kube:
    """The client as the identity of a namespace, which can do nothing elsewhere."""
    return kube.acting_as(identity(namespace), GROUP)


def namespace(name: str, level: str = RESTRICTED) -> Object:
    """A namespace of Slipway's own, which holds its pods to a Pod Security Standard."""
    security = {f"{POD_SECURITY}{mode}": level for mode in ("enforce", "warn", "audit")}
    security |= {f"{mode}-version": "latest" for mode in security}
    return sealed(
        {
            "apiVersion": NAMESPACES.api_version,
            "kind": NAMESPACES.kind,
            "metadata": {"name": name, "labels": {**OWN, **security}},
        }
    )


def level_of(found: Object) -> str:
    """The Pod Security Standard that a namespace enforces; empty if none."""
    return str((found["metadata"].get("labels") or {}).get(f"{POD_SECURITY}enforce", ""))


def _role() -> Object:
    """What the identity of an environment may do there: write objects of the allowed kinds."""
    rules = [
        {"apiGroups": [group], "resources": sorted(kinds.values()), "verbs": ["create", "patch"]}
        for group, kinds in KINDS.items()
    ]
    return sealed(
        {
            "apiVersion": CLUSTER_ROLES.api_version,
            "kind": CLUSTER_ROLES.kind,
            "metadata": {"name": NAME, "labels": dict(OWN)},
            "rules": rules,
        }
    )


def rights() -> list[Object]:
    """What holds for the identities of all environments, whatever their namespace."""
    about = {"name": NAME, "labels": dict(OWN)}
    users = f"'{GROUP}' in request.userInfo.groups"
    policy, binding = checked(about, "environment", users, _RULES, "a branch")
    return [_role(), sealed(policy), sealed(binding)]


def contents(
    namespace: str, quota: Mapping[str, str] = NO_QUOTA, *, is_own: bool = True
) -> list[Object]:
    """What is in the namespace of an environment beside its apps.

    Of one that somebody else made, and let apps into, nothing more is Slipway's than their rights.
    """
    objects = [_binding(namespace)]
    if is_own:
        objects += [_account(namespace), _quota(namespace, quota), _limits(namespace)]
    return [*map(sealed, objects)]


def quota_of(apps: Iterable[App], usual: Mapping[str, str]) -> dict[str, str]:
    """How much the apps of one namespace may have: the sum of what is for each of them.

    That is the ``usual``, and what apps.yml says instead. Services get no address of a node or of
    the load balancer, but for those of apps that ask for one, unless the operator brings such ones.
    An app that is to add no pods lives on what the others have.
    """
    apps = list(apps)
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for app in apps:
        own = {} if app.quota.get("pods") == "0" else usual
        for name, text in {**own, **_outward(app), **app.quota}.items():
            totals[name] += amount(text) or 0
    brought = any(SERVICES.kind in app.allow_kinds for app in apps)
    return {
        name: quantity(total)
        for name, total in totals.items()
        if not (brought and name in NO_QUOTA)
    }


def _outward(app: App) -> Mapping[str, str]:
    """How many addresses and ports of nodes an app's own Service has."""
    balancers = int(app.service.type == LOAD_BALANCER)
    ports = len(app.service.ports) + app.has_own_port if app.service.type == NODE_PORT else 0
    return dict(zip(_OUTWARD, map(str, (balancers, ports)), strict=True))


def _quota(namespace: str, hard: Mapping[str, str]) -> Object:
    return {
        "apiVersion": RESOURCE_QUOTAS.api_version,
        "kind": RESOURCE_QUOTAS.kind,
        "metadata": {"name": NAME, "namespace": namespace, "labels": dict(OWN)},
        "spec": {"hard": dict(hard)},
    }


def _limits(namespace: str) -> Object:
    """What containers have that do not say it: those that a quota counts have to say something."""
    usual = {
        "type": "Container",
        "default": {"memory": USUAL_MEMORY},
        "defaultRequest": {"cpu": "10m", "memory": "64Mi"},
    }
    return {
        "apiVersion": LIMIT_RANGES.api_version,
        "kind": LIMIT_RANGES.kind,
        "metadata": {"name": NAME, "namespace": namespace, "labels": dict(OWN)},
        "spec": {"limits": [usual]},
    }


def _account(namespace: str) -> Object:
    """The account of pods that name none: they do not get its token either."""
    return {
        "apiVersion": SERVICE_ACCOUNTS.api_version,
        "kind": SERVICE_ACCOUNTS.kind,
        "metadata": {"name": "default", "namespace": namespace, "labels": dict(OWN)},
        "automountServiceAccountToken": False,
    }


def _binding(namespace: str) -> Object:
    return {
        "apiVersion": ROLE_BINDINGS.api_version,
        "kind": ROLE_BINDINGS.kind,
        "metadata": {"name": NAME, "namespace": namespace, "labels": dict(OWN)},
        "roleRef": {"apiGroup": _RBAC, "kind": CLUSTER_ROLES.kind, "name": NAME},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": identity(namespace)}],
    }

"""A namespace as an environment: what Slipway puts into it before anything of an app.

Nothing here is an app's, and no app may bring anything of the kind.
"""

from __future__ import annotations

from slipway.apps.manifests.bounds import KINDS
from slipway.apps.manifests.labels import OWN
from slipway.kube.client import CLUSTER_ROLES, NAMESPACES, ROLE_BINDINGS, Kube, Object
from slipway.kube.objects import sealed

NAME = "slipway-environment"
"""The name of the role, and of what is in every environment."""

GROUP = "slipway:environments"
"""The group of the identities of all environments."""

_RBAC = "rbac.authorization.k8s.io"


def identity(namespace: str) -> str:
    """The user as whom the API sees what a branch brings to a namespace."""
    return f"slipway:environment:{namespace}"


def acting_in(kube: Kube, namespace: str) -> Kube:
    """The client as the identity of a namespace, which can do nothing elsewhere."""
    return kube.acting_as(identity(namespace), GROUP)


def namespace(name: str) -> Object:
    """A namespace of Slipway's own."""
    return sealed(
        {
            "apiVersion": NAMESPACES.api_version,
            "kind": NAMESPACES.kind,
            "metadata": {"name": name, "labels": dict(OWN)},
        }
    )


def role() -> Object:
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


def contents(namespace: str) -> list[Object]:
    """What is in the namespace of an environment beside its apps."""
    return [sealed(_binding(namespace))]


def _binding(namespace: str) -> Object:
    return {
        "apiVersion": ROLE_BINDINGS.api_version,
        "kind": ROLE_BINDINGS.kind,
        "metadata": {"name": NAME, "namespace": namespace, "labels": dict(OWN)},
        "roleRef": {"apiGroup": _RBAC, "kind": CLUSTER_ROLES.kind, "name": NAME},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": identity(namespace)}],
    }

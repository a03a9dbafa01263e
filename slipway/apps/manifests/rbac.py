"""What an app may ask of the Kubernetes API: an account of its own, with rights in its namespace.

Only apps.yml gives them; what an app is made of has the account's token, and so has whoever can
push a branch of it.
"""

from __future__ import annotations

from slipway.apps.app import App, RbacRule
from slipway.apps.manifests.labels import metadata
from slipway.kube.client import ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, Object

_GROUP = "rbac.authorization.k8s.io"


def access(app: App) -> list[Object]:
    """The account of an app that has rights, and they; nothing of one that has none."""
    if not app.rbac or not app.account:
        return []
    about = metadata(app, app.account)
    subject = {
        "kind": SERVICE_ACCOUNTS.kind,
        "name": app.account,
        "namespace": app.namespace,
    }
    return [
        {
            "apiVersion": SERVICE_ACCOUNTS.api_version,
            "kind": SERVICE_ACCOUNTS.kind,
            "metadata": about,
            "automountServiceAccountToken": False,  # the app's pods alone have it mounted
        },
        {
            "apiVersion": ROLES.api_version,
            "kind": ROLES.kind,
            "metadata": about,
            "rules": [*map(_rule, app.rbac)],
        },
        {
            "apiVersion": ROLE_BINDINGS.api_version,
            "kind": ROLE_BINDINGS.kind,
            "metadata": about,
            "roleRef": {"apiGroup": _GROUP, "kind": ROLES.kind, "name": app.account},
            "subjects": [subject],
        },
    ]


def _rule(rule: RbacRule) -> Object:
    named = {"resourceNames": rule.resource_names} if rule.resource_names else {}
    return {
        "apiGroups": rule.api_groups,
        "resources": rule.resources,
        "verbs": rule.verbs,
        **named,
    }

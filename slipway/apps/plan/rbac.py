"""What an app may ask of the Kubernetes API, and what of that would lead out of its environment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from slipway.apps.app import RbacRule
from slipway.apps.manifests.bounds import KINDS
from slipway.apps.plan.places import Finding, Places, plain
from slipway.apps.plan.workload import PRIVILEGED

_SETTING = "rbac"

_READS = {"get", "list", "watch"}

_WRITABLE: Mapping[str, Collection[str]] = {
    "": {
        *("configmaps", "events", "pods", "secrets"),
        *("pods/attach", "pods/eviction", "pods/exec", "pods/portforward"),
    },
    "apps": {
        *("daemonsets", "deployments", "replicasets", "statefulsets"),
        *("deployments/scale", "replicasets/scale", "statefulsets/scale"),
    },
    "autoscaling": {"horizontalpodautoscalers"},
    "batch": {"cronjobs", "jobs"},
    "coordination.k8s.io": {"leases"},
    "events.k8s.io": {"events"},
    "policy": {"poddisruptionbudgets"},
}
"""What of Kubernetes' own may be written, by its group.

By all else, whoever writes it gets out: by accounts and rights to those of others, by Services,
Ingresses, endpoints and policies to the network, by quotas, labels of the namespace and volumes to
what the environment is not to have.
"""

_OF_PODS = ("apps", "batch")
"""The groups of what makes pods."""

_GROUP_OF = {
    **{plural: group for group, kinds in KINDS.items() for plural in kinds.values()},
    "leases": "coordination.k8s.io",
}
"""The group of what is asked for most."""

_OF_NO_NAMESPACE = {"nodes", "persistentvolumes"}


def mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Rules that say nothing, and those by which an app would get out of its environment."""
    rules = [msgspec.convert(each, RbacRule) for each in settings_of(app)]
    if rules and app.get("service_account"):
        what = f"is for an account of its own, and service_account names {app['service_account']}"
        yield places.finding((_SETTING,), what, "keep one of them")
    takes_any_pod = app.get("pod_security") == PRIVILEGED and "image" not in app
    for number, rule in enumerate(rules):
        for at, resource in enumerate(rule.resources):
            place = (_SETTING, number, "resources", at)
            groups, writes = _groups_of(rule, resource), {*rule.verbs} - _READS
            if resource in _OF_NO_NAMESPACE:
                what = f"{resource} are in no namespace, and these rights are for one"
                yield places.finding(place, what, "leave it out")
            elif not groups:
                group = _GROUP_OF[_base(resource)]
                what = f"{resource} are in the group {group or repr(group)}"
                yield places.finding(place, what, f"write api_groups: [{group or repr(group)}]")
            elif writes and not all(_is_writable(group, resource) for group in groups):
                what = f"who may {', '.join(sorted(writes))} {resource} gets out of its environment"
                fix = "leave it out, or keep get, list and watch"
                yield places.finding(place, what, fix)
            elif writes and takes_any_pod and any(_makes_pods(each, resource) for each in groups):
                what = f"would make {resource} of any kind: who can push would have nodes"
                yield places.finding(place, what, "leave it out, or write pod_security: baseline")


def settings_of(app: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The setting of an App."""
    return [plain(rule) for rule in app.get(_SETTING, ())]


def _groups_of(rule: RbacRule, resource: str) -> list[str]:
    """Those of a rule's groups in which a resource may be; none where all are wrong."""
    own = _GROUP_OF.get(_base(resource))
    if own is None or own in rule.api_groups:
        return rule.api_groups if own is None else [own]
    return [group for group in rule.api_groups if group not in {*KINDS, *_WRITABLE}]


def _base(resource: str) -> str:
    """A resource without the part of it that is meant."""
    return resource.partition("/")[0]


def _is_own(group: str) -> bool:
    """Whether a group is of Kubernetes itself, or of the ingress controller."""
    return "." not in group or group.endswith((".k8s.io", ".nginx.org"))


def _is_writable(group: str, resource: str) -> bool:
    return not _is_own(group) or resource in _WRITABLE.get(group, ())


def _makes_pods(group: str, resource: str) -> bool:
    return group in _OF_PODS or (not group and _base(resource) == "pods")

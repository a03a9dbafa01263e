"""What the objects that a branch brings may be, so that they stay in its environment.

Whoever can push a branch writes them. The kinds are an allow list, which the API server has too, as
a ClusterRole; of some kinds only a part of what Kubernetes takes is allowed. What the operator
vouches for, by ``allow_kinds`` of an entry of apps.yml, is not looked at here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.apps.app import App, images_of
from slipway.apps.manifests.bounds_ingress import Routes, ingress_breaches
from slipway.apps.manifests.bounds_pod import claim_breaches, pod_breaches
from slipway.apps.manifests.shape import part
from slipway.kube.client import Object

KINDS: Mapping[str, Mapping[str, str]] = {
    "": {
        "ConfigMap": "configmaps",
        "PersistentVolumeClaim": "persistentvolumeclaims",
        "Pod": "pods",
        "Secret": "secrets",
        "Service": "services",
        "ServiceAccount": "serviceaccounts",
    },
    "apps": {
        "DaemonSet": "daemonsets",
        "Deployment": "deployments",
        "ReplicaSet": "replicasets",
        "StatefulSet": "statefulsets",
    },
    "autoscaling": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "batch": {"CronJob": "cronjobs", "Job": "jobs"},
    "networking.k8s.io": {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"},
    "policy": {"PodDisruptionBudget": "poddisruptionbudgets"},
}
"""The kinds that a branch may bring, by their group, with their names in URLs."""

_SERVICE_TYPES = ("ClusterIP", None)

_OUTWARD = (
    "externalIPs",
    "externalName",
    "healthCheckNodePort",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
)
"""What of a Service is about the world outside of its namespace."""

_LASTING = ("finalizers", "ownerReferences")
"""What of metadata ties an object's end to something else."""

_MEANT_FOR_OTHERS = ("external-dns.", "metallb.", "nginx.", "service.beta.kubernetes.io")
"""How annotations of Services begin that programs for the whole cluster act upon."""

_TOKEN = "kubernetes.io/service-account-token"

Breach = tuple[str, str]
"""What is not allowed, as ``spec.type: LoadBalancer``, and how to mend it."""

_REMOVE = "remove it"


@dataclass(frozen=True)
class Surroundings:
    """What an object is looked at in: its app, and what is that app's.

    ``accounts`` are the ServiceAccounts that the environment brings, ``routes`` those of all apps.
    """

    app: App
    accounts: Collection[str]
    routes: Routes
    ingress_class: str


def is_allowed_kind(obj: Object) -> bool:
    """Whether a branch may bring objects of this one's kind at all."""
    return obj["kind"] in KINDS.get(group_of(obj), {})


def group_of(obj: Object) -> str:
    """The API group of an object's kind; empty for the core."""
    return str(obj["apiVersion"].rpartition("/")[0])


def is_named(obj: Object, kinds: Collection[str]) -> bool:
    """Whether ``allow_kinds`` of apps.yml name an object's kind, with its group or without."""
    return not {obj["kind"], f"{obj['kind']}.{group_of(obj)}"}.isdisjoint(kinds)


def breaches(obj: Object, around: Surroundings) -> Iterator[Breach]:
    """What of an object a branch may not have, each with the way to mend it.

    The object is of an allowed kind, and of the shape that Slipway counts on.
    """
    yield from _lasting(obj, "")
    kind = obj["kind"]
    if kind == "Service":
        yield from _service_breaches(obj)
    elif kind == "Ingress":
        yield from ingress_breaches(obj, around.app, around.routes, around.ingress_class)
    elif kind == "Secret" and obj.get("type") == _TOKEN:
        yield f"type: {_TOKEN}", "mount the token of the pod's own account instead (projected)"
    elif kind == "PersistentVolumeClaim":
        yield from claim_breaches("spec", part(obj, "spec", dict))
    yield from pod_breaches(obj, around.accounts, images_of([around.app]))


def _lasting(value: Any, place: str) -> Iterator[Breach]:
    """Owners and finalizers in the metadata of an object, and in its templates of others."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if not isinstance(inner, dict | list):
            continue
        where = f"{place}[{key}]" if isinstance(key, int) else f"{place}.{key}".removeprefix(".")
        if key == "metadata" and isinstance(inner, dict):
            for name in _LASTING:
                if inner.get(name):
                    yield f"{where}.{name}", f"{_REMOVE}: it would tie the object's end to others"
        yield from _lasting(inner, where)


def _service_breaches(obj: Object) -> Iterator[Breach]:
    spec = part(obj, "spec", dict)
    if spec.get("type") not in _SERVICE_TYPES:
        fix = "leave the type out; what is to be reached from outside has a route in apps.yml"
        yield f"spec.type: {spec['type']}", fix
    for key in _OUTWARD:
        if spec.get(key):
            yield f"spec.{key}", _REMOVE
    for number, port in enumerate(part(spec, "ports", list)):
        if isinstance(port, dict) and port.get("nodePort"):
            yield f"spec.ports[{number}].nodePort", _REMOVE
    for name in part(part(obj, "metadata", dict), "annotations", dict):
        if name.startswith(_MEANT_FOR_OTHERS):
            yield f"metadata.annotations: {name}", _REMOVE

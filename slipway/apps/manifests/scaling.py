"""How many pods a Deployment has that says from how many to how many.

Kubernetes decides that, by what the pods use, and writes it into the Deployment. A number in the
range is the one to be written, whatever it is at the time: left out, it would become 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slipway.apps.app import Scale
from slipway.kube.client import AUTOSCALERS, DEPLOYMENTS, Object
from slipway.kube.objects import Key, key_of, of_kind


def autoscaler(about: dict[str, Any], scale: Scale) -> Object:
    """What decides about the Deployment of the same name."""
    target = {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "name": about["name"],
    }
    used = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": scale.cpu}}
    spec = {
        "scaleTargetRef": target,
        "minReplicas": scale.min,
        "maxReplicas": scale.max,
        "metrics": [{"type": "Resource", "resource": used}],
    }
    return of_kind(AUTOSCALERS, about, spec)


def target_of(obj: Object) -> Key:
    """The key of the Deployment that an autoscaler decides about, which has its name."""
    _kind, namespace, name = key_of(obj)
    return DEPLOYMENTS.kind, namespace, name


def is_autoscaler(obj: Object) -> bool:
    """Whether an object decides how many pods a Deployment has."""
    return bool(obj["kind"] == AUTOSCALERS.kind)


def sized(objects: Iterable[Object], live: Mapping[Key, Object]) -> list[Object]:
    """An app's objects, each Deployment of a range with the number of pods that it is to have."""
    objects = list(objects)
    ranges = {target_of(obj): obj["spec"] for obj in objects if is_autoscaler(obj)}
    return [
        _sized(obj, spec, live.get(key_of(obj))) if (spec := ranges.get(key_of(obj))) else obj
        for obj in objects
    ]


def _sized(deployment: Object, scale: Mapping[str, Any], live: Object | None) -> Object:
    least, most = scale["minReplicas"], scale["maxReplicas"]
    present = live["spec"].get("replicas", least) if live else least
    count = max(least, min(most, present))
    return {**deployment, "spec": {"replicas": count, **deployment["spec"]}}

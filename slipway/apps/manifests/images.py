"""The images that pods of manifests and charts name: where they stand, and others in their place.

Looked into are Kubernetes' own kinds that have pods or templates of them. What an object of another
kind, a custom resource for example, makes pods of is known to its controller alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from slipway.apps.app import CarriedImage
from slipway.apps.manifests.shape import part
from slipway.apps.names import BUNDLE_HOST
from slipway.apps.placement import ARCHITECTURE
from slipway.cache.layout import APPS
from slipway.kube.client import Object

_TEMPLATE = ("spec", "template", "spec")

TEMPLATES: Mapping[tuple[str, str], Sequence[str]] = {
    ("", "Pod"): ("spec",),
    ("", "PodTemplate"): ("template", "spec"),
    ("", "ReplicationController"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", *_TEMPLATE),
    ("batch", "Job"): _TEMPLATE,
    **dict.fromkeys(
        (("apps", kind) for kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")),
        _TEMPLATE,
    ),
}
"""By group and kind, the way to the spec of what its pods are made of."""

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")

IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
"""What a node itself calls an image."""

_TITLES = dict(zip(CONTAINERS, ("init container", "container", "ephemeral container"), strict=True))

IF_NOT_PRESENT = "IfNotPresent"


class Use(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where an image is ``named``: ``deploy/redis.yaml:12: Deployment redis: container redis``.

    The rest is as in CarriedImage.
    """

    where: str
    named: str
    node_selector: dict[str, str] = {}
    tolerant: bool = False


def way_to_pod(obj: Object) -> Sequence[str]:
    """The way to the spec of an object's pods; empty if it has none, or nobody knows where."""
    return TEMPLATES.get((obj["apiVersion"].rpartition("/")[0], obj["kind"]), ())


def pod_of(obj: Object) -> dict[str, Any]:
    """The spec of an object's pods; an empty one if it has none."""
    for key in way_to_pod(obj):
        obj = part(obj, key, dict)
    return obj


def each_of(whole: Any, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The mappings of a list, with their numbers."""
    for number, each in enumerate(part(whole, key, list)):
        if isinstance(each, dict):
            yield number, each


def is_on_nodes(ref: str) -> bool:
    """Whether a reference is of Slipway's own, or a node's, so that no registry is asked for it."""
    return ref.startswith((APPS, BUNDLE_HOST)) or IMAGE_ID.fullmatch(ref) is not None


def uses(where: str, obj: Object) -> Iterator[Use]:
    """Each image that pods of an object name, of those that registries have."""
    if not way_to_pod(obj):
        return
    pod = pod_of(obj)
    selector = part(pod, "nodeSelector", dict)
    labels = {key: value for key, value in selector.items() if isinstance(value, str)}
    # The controller of a DaemonSet has its pods tolerate more than their template says.
    tolerant = bool(pod.get("tolerations") or pod.get("nodeName") or obj["kind"] == "DaemonSet")
    title = f"{where}: {obj['kind']} {obj['metadata']['name']}"
    for place, named in _named(pod):
        if isinstance(named, str) and named and not is_on_nodes(named):
            yield Use(f"{title}: {place}", named, labels, tolerant)


def _named(pod: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a pod names as images, with the place of each."""
    for kind in CONTAINERS:
        for number, container in each_of(pod, kind):
            yield f"{_TITLES[kind]} {container.get('name', number)}", container.get("image")
    for number, volume in each_of(pod, "volumes"):
        named = part(volume, "image", dict).get("reference")
        yield f"volume {volume.get('name', number)}", named


def with_images(obj: Object, images: Mapping[str, CarriedImage]) -> Object:
    """An object whose pods have ``images`` in place of what they name, and ask no registry."""
    way = way_to_pod(obj)
    return _changed(obj, way, lambda pod: _with_images(pod, images)) if way else obj


def _changed(whole: Object, way: Sequence[str], change: Callable[[Object], Object]) -> Object:
    """A mapping with another part at the end of a way, if there is one."""
    if not way:
        return change(whole)
    key, *rest = way
    inner = part(whole, key, dict)
    return {**whole, key: _changed(inner, rest, change)} if inner else whole


def _with_images(pod: Object, images: Mapping[str, CarriedImage]) -> Object:
    found: list[CarriedImage] = []

    def placed(holder: Any, key: str, policy: str) -> Any:
        named = holder.get(key) if isinstance(holder, dict) else None
        if not isinstance(named, str) or named not in images:
            return holder
        found.append(images[named])
        return {**holder, key: images[named].image, policy: IF_NOT_PRESENT}

    changed = dict(pod)
    for kind in CONTAINERS:
        if part(pod, kind, list):
            changed[kind] = [placed(each, "image", "imagePullPolicy") for each in pod[kind]]
    if part(pod, "volumes", list):
        changed["volumes"] = [
            {**each, "image": placed(each["image"], "reference", "pullPolicy")}
            if isinstance(each, dict) and "image" in each
            else each
            for each in pod["volumes"]
        ]
    for architecture in sorted({each.architecture for each in found} - {""}):
        labels = part(pod, "nodeSelector", dict)
        changed["nodeSelector"] = {**labels, ARCHITECTURE: architecture}
    return changed

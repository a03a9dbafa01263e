"""What the pods that a branch brings may have: nothing of a node, and no identity of others.

Pod Security refuses much of this too, but only once something makes the pods. Here it is said of
the object that has the template, with all else that is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from slipway.apps.manifests.images import CONTAINERS, IMAGE_ID, each_of, pod_of, way_to_pod
from slipway.apps.manifests.shape import part
from slipway.cache.layout import APPS
from slipway.kube.client import Object

_OF_THE_NODE = ("hostIPC", "hostNetwork", "hostPID")

_OF_THE_SCHEDULER = ("nodeName", "priority", "priorityClassName", "schedulerName")

_VOLUMES = {
    "configMap",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}

_CONTROL_PLANE = "node-role.kubernetes.io/"

_REMOVE = "remove it"

Breach = tuple[str, str]


def pod_breaches(
    obj: Object, accounts: Collection[str], images: Collection[str]
) -> Iterator[Breach]:
    """What of the pods of an object is not allowed, each with the way to mend it.

    They may be those of the ``accounts``, and of Slipway's images have the app's own ``images``.
    """
    way = way_to_pod(obj)
    if not way:
        return
    place, pod = ".".join(way), pod_of(obj)
    for name in (*_OF_THE_NODE, *_OF_THE_SCHEDULER):
        if pod.get(name) not in (None, False, "", "default-scheduler"):
            yield f"{place}.{name}: {pod[name]}", _REMOVE
    for key in ("serviceAccountName", "serviceAccount"):
        if pod.get(key) not in (None, "", "default", *accounts):
            fix = "bring a ServiceAccount of that name among the manifests, or leave it out"
            yield f"{place}.{key}: {pod[key]}", fix
    for number, volume in each_of(pod, "volumes"):
        yield from _volume_breaches(f"{place}.volumes[{number}]", volume)
    for number, toleration in each_of(pod, "tolerations"):
        taint = toleration.get("key")
        if not taint or (isinstance(taint, str) and taint.startswith(_CONTROL_PLANE)):
            fix = f"{_REMOVE}: it would have the pod on nodes of the control plane"
            yield f"{place}.tolerations[{number}]", fix
    for kind in CONTAINERS:
        for number, container in each_of(pod, kind):
            yield from _container_breaches(f"{place}.{kind}[{number}]", container, images)
    for number, claim in each_of(part(obj, "spec", dict), "volumeClaimTemplates"):
        where = f"spec.volumeClaimTemplates[{number}].spec"
        yield from claim_breaches(where, part(claim, "spec", dict))


def _volume_breaches(place: str, volume: dict[str, Any]) -> Iterator[Breach]:
    for kind in volume.keys() - _VOLUMES - {"name"}:
        fix = f"have one of {', '.join(sorted(_VOLUMES))}"
        yield f"{place}.{kind}", fix
    claim = part(part(volume, "ephemeral", dict), "volumeClaimTemplate", dict)
    yield from claim_breaches(
        f"{place}.ephemeral.volumeClaimTemplate.spec", part(claim, "spec", dict)
    )


def _container_breaches(
    place: str, container: dict[str, Any], images: Collection[str]
) -> Iterator[Breach]:
    for number, port in each_of(container, "ports"):
        if port.get("hostPort"):
            yield f"{place}.ports[{number}].hostPort: {port['hostPort']}", _REMOVE
    if part(container, "securityContext", dict).get("privileged"):
        yield f"{place}.securityContext.privileged", _REMOVE
    named = container.get("image")
    if not isinstance(named, str) or named in images:
        return
    if named.startswith(APPS):
        yield f"{place}.image: {named}", "write {{ image }}, which is the app's own"
    elif IMAGE_ID.fullmatch(named):
        yield f"{place}.image: {named}", "name an image, not what a node calls one"


def claim_breaches(place: str, spec: dict[str, Any]) -> Iterator[Breach]:
    """What a claim has that leads to a volume that is somebody's already."""
    for key in ("volumeName", "selector"):
        if spec.get(key):
            yield f"{place}.{key}", _REMOVE
    if spec.get("storageClassName") == "":
        yield f"{place}.storageClassName", "name a StorageClass, or leave it out"
    for key in ("dataSource", "dataSourceRef"):
        if part(spec, key, dict).get("namespace"):
            yield f"{place}.{key}.namespace", _REMOVE

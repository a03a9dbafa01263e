"""What an app is in the cluster, as Kubernetes objects. Nothing here talks to anything.

Every object carries the hash of itself as it was rendered, so that a later run knows what was
applied without asking for the details, and the labels by which Slipway knows its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.apps.app import LOAD_BALANCER, App, Built, Port, Process, Scale
from slipway.apps.manifests.certificates import showing, version_of
from slipway.apps.manifests.config import config_map
from slipway.apps.manifests.extras import kinds_text, settings
from slipway.apps.manifests.jobs import jobs
from slipway.apps.manifests.labels import (
    BRANCH,
    COMMIT,
    EXTRA_IMAGES,
    EXTRA_KINDS,
    HTTP,
    PATTERN,
    POD_HASH,
    metadata,
    part_metadata,
    selector,
    service_port,
)
from slipway.apps.manifests.pod import START_SECONDS, pod_spec, process_pod, start_seconds
from slipway.apps.manifests.rbac import access
from slipway.apps.manifests.routes import minions
from slipway.apps.manifests.scaling import autoscaler
from slipway.apps.manifests.volumes import alone, claims
from slipway.apps.names import pattern_id
from slipway.kube.client import DEPLOYMENTS, SERVICES, Object
from slipway.kube.objects import digest, of_kind, sealed
from slipway.kube.workloads import patient_pod
from slipway.waiting import allowed

ADDRESS = "metallb.io/loadBalancerIPs"
"""On a Service: the address that MetalLB is to give it."""

STEADY_SECONDS = 5
"""How long a process has to run until it counts as running."""


def render(
    app: Built,
    ingress_class: str,
    secret: Object | None = None,
    extras: Sequence[Object] = (),
    leftovers: Sequence[Object] = (),
    certificate: Object | None = None,
) -> list[Object]:
    """An app's own objects, in the order in which they are to be applied.

    ``secret`` is the Secret of an app that has secrets, ``certificate`` that of one that shows a
    certificate: pods roll with it, and are of the same version. The Deployment notes the kinds of
    the app's ``extras``, and of its ``leftovers``, which it had and which are still to be removed,
    and the images that its extras name.
    """
    config = config_map(app)
    depends_on = settings(app, extras)
    processes = [
        _process(app, name, process, process_pod(app, name, process, config, secret), depends_on)
        for name, process in sorted(app.processes.items())
    ]
    pod = patient_pod(pod_spec(app, config, secret))
    deployment = _deployment(app, pod, extras, leftovers)
    return [
        *map(sealed, access(app)),
        *([sealed(config)] if config else []),
        *([secret] if secret else []),
        *map(sealed, claims(app)),
        *([certificate] if certificate else []),
        *map(sealed, jobs(app, config, secret)),
        sealed(_service(app)),
        sealed(_showing(deployment, certificate)),
        *(sealed(_showing(each, certificate)) for each in processes),
        *map(sealed, _autoscalers(app)),
        *map(sealed, minions(app, ingress_class)),
    ]


def _service(app: App) -> Object:
    """The Service, with the port of its routes if it has some or names no other ports."""
    service, about = app.service, metadata(app)
    own = {"name": app.scheme, "port": service_port(app), "targetPort": HTTP, "protocol": "TCP"}
    ports = [
        *([own] if app.has_own_port else []),
        *(_port(name, port) for name, port in sorted(service.ports.items())),
    ]
    spec: dict[str, Any] = {"selector": selector(app), "ports": ports}
    if app.is_open:
        spec["type"] = service.type
    if service.type == LOAD_BALANCER:
        spec["allocateLoadBalancerNodePorts"] = False  # or all nodes would serve it, too
    if service.address:
        about["annotations"] = {ADDRESS: service.address}
    return of_kind(SERVICES, about, spec)


def _port(name: str, port: Port) -> dict[str, Any]:
    return {
        "name": name,
        "port": port.port,
        "targetPort": port.of_container,
        "protocol": port.protocol,
        **({"nodePort": port.node_port} if port.node_port else {}),
    }


def _deployment(
    app: Built, pod: dict[str, Any], extras: Sequence[Object], leftovers: Sequence[Object]
) -> Object:
    """The Deployment; its commit is no part of the pod, so the same image does not roll."""
    about = metadata(app, **_version(app))
    if pattern := app.pattern:
        about["labels"][PATTERN] = pattern_id(app.family.name, app.family.git_url, pattern)
    if kinds := kinds_text([*extras, *leftovers]):
        about["annotations"][EXTRA_KINDS] = kinds
    if images := sorted(app.images - {app.image}):
        about["annotations"][EXTRA_IMAGES] = ",".join(images)
    labels, depends_on = metadata(app)["labels"], settings(app, extras)
    spec = alone(_running(selector(app), labels, app.replicas, pod, depends_on))
    spec["progressDeadlineSeconds"] = round(allowed(max(START_SECONDS, start_seconds(app)) + 60))
    return of_kind(DEPLOYMENTS, about, spec)


def _process(
    app: Built, name: str, process: Process, pod: dict[str, Any], depends_on: Sequence[Object]
) -> Object:
    """The Deployment of a process, which nobody reaches."""
    about = part_metadata(app, name, **_version(app))
    labels = part_metadata(app, name)["labels"]
    spec = _running(selector(app, name), labels, process.replicas, pod, depends_on)
    # Nothing checks whether it is ready, and what ends at once is not to count as running.
    spec["minReadySeconds"] = STEADY_SECONDS
    return of_kind(DEPLOYMENTS, about, spec)


def _showing(deployment: Object, certificate: Object | None) -> Object:
    """A Deployment whose pods show the certificate in a Secret, if there is one."""
    version = version_of(certificate) if certificate else ""
    spec = deployment["spec"]
    return {**deployment, "spec": {**spec, "template": showing(spec["template"], version)}}


def _autoscalers(app: Built) -> list[Object]:
    """What decides how many pods the app and its processes have, where they say a range."""
    wanted = [(metadata(app), app.replicas)]
    wanted += [
        (part_metadata(app, name), process.replicas)
        for name, process in sorted(app.processes.items())
    ]
    return [autoscaler(about, scale) for about, scale in wanted if isinstance(scale, Scale)]


def _version(app: Built) -> dict[str, str]:
    return {BRANCH: app.git_branch, COMMIT: app.commit}


def _running(
    matching: Mapping[str, str],
    labels: Mapping[str, str],
    replicas: int | Scale,
    pod: dict[str, Any],
    depends_on: Sequence[Object],
) -> dict[str, Any]:
    """The spec of a Deployment, which replaces pods one after the other."""
    count = {} if isinstance(replicas, Scale) else {"replicas": replicas}
    return {
        **count,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": dict(matching)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
        },
        "template": {
            "metadata": {
                "labels": dict(labels),
                "annotations": {POD_HASH: digest([pod, depends_on] if depends_on else pod)},
            },
            "spec": pod,
        },
    }

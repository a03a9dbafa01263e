"""An app's pod: it writes to /tmp alone, has no rights, and knows no other service's address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec import structs

from slipway.apps.app import HTTPS, App, Built, Job, Probe, Process, Variable
from slipway.apps.manifests.certificates import name_of
from slipway.apps.manifests.config import config_keys
from slipway.apps.manifests.labels import named
from slipway.apps.manifests.volumes import mounts as mounts_of
from slipway.apps.manifests.volumes import sources
from slipway.kube.client import Object
from slipway.kube.objects import amount

USER_ID = 65532
"""Who every app runs as, whatever its image names: by custom the ``nonroot`` user of images."""

USUAL_MEMORY = "1Gi"
"""How much memory a container may use that does not say it, or says that it needs less."""

START_SECONDS = 300
"""How long a container may take to start before it is started anew."""

DRAIN_SECONDS = 5
"""How long a pod that is to go still serves: the ingress stops sending requests meanwhile."""

STOP_SECONDS = 30
"""How long a pod has, draining included, until it is killed."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


Resources = Mapping[str, Mapping[str, str]]


def pod_spec(app: Built, config: Object | None, secret: Object | None) -> dict[str, Any]:
    """The pod of an app with its configuration and its secrets."""
    serving = {
        "ports": [{"name": "http", "containerPort": app.port, "protocol": "TCP"}],
        **_probes(app),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
    }
    return _pod(app, app.name, app.command, app.resources, config, secret, serving)


def process_pod(
    app: Built, name: str, process: Process, config: Object | None, secret: Object | None
) -> dict[str, Any]:
    """The pod of a process, which has all that the app's own has but its port, checks and volumes.

    It is rolled by itself, and may be on another node.
    """
    app = structs.replace(app, volumes={})
    resources = process.resources or app.resources
    return _pod(app, named(app, name), process.command, resources, config, secret)


def job_pod(
    app: Built, name: str, job: Job, config: Object | None, secret: Object | None
) -> dict[str, Any]:
    """The pod of a job, as that of a process; it is not started again."""
    resources = job.resources or app.resources
    pod = _pod(app, named(app, name), job.command, resources, config, secret)
    return {**pod, "restartPolicy": "Never"}


def _pod(
    app: Built,
    name: str,
    command: Sequence[str],
    resources: Resources,
    config: Object | None,
    secret: Object | None,
    serving: Mapping[str, Any] = NOTHING,
) -> dict[str, Any]:
    """A pod of an app's image, with a container of this name.

    Each config file is mounted by itself (``subPath``), so what the image has beside it stays.
    """
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}, *mounts_of(app)]
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}, *sources(app)]
    files = config_keys(app)
    if config:
        volumes.append({"name": "config", "configMap": {"name": config["metadata"]["name"]}})
    if secret and any(file.is_secret for file in files.values()):
        volumes.append({"name": "secrets", "secret": {"secretName": secret["metadata"]["name"]}})
    mounts += [
        {
            "name": "secrets" if file.is_secret else "config",
            "mountPath": file.path,
            "subPath": key,
            "readOnly": True,
        }
        for key, file in files.items()
    ]
    if certificate := app.certificate:
        volumes.append({"name": "certificate", "secret": {"secretName": name_of(app)}})
        mounts.append({"name": "certificate", "mountPath": certificate.path, "readOnly": True})
    security = app.security
    capabilities = security.capabilities
    container = {
        "name": name,
        "image": app.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [*map(_literal, command)],
        "env": [_variable(each, source, secret) for each, source in sorted(app.env.items())],
        "resources": _resources(resources),
        "volumeMounts": mounts,
        **serving,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": not security.writable_root,
            "capabilities": {"drop": ["ALL"], **({"add": capabilities} if capabilities else {})},
        },
    }
    account = app.account
    pod = {
        "serviceAccountName": account,
        "automountServiceAccountToken": bool(account),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        "nodeSelector": app.node_selector,
        "securityContext": identity(app),
        "containers": [{key: value for key, value in container.items() if value}],
        "volumes": volumes,
    }
    return {key: value for key, value in pod.items() if value not in (None, {}, [])}


def identity(app: App) -> dict[str, Any]:
    """Who the pods of an app are, and whose its volumes are: theirs, from the first time on.

    What is in a volume is not looked through again at each start, as programs may have given their
    files modes of their own.
    """
    user = USER_ID if app.security.run_as_user is None else app.security.run_as_user
    owner = {"fsGroup": user, "fsGroupChangePolicy": "OnRootMismatch"} if app.volumes else {}
    return {
        "runAsNonRoot": user != 0,
        "runAsUser": user,
        "runAsGroup": user,
        **owner,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _resources(given: Resources) -> Resources:
    """What a container has; it may use what it reserves, also where that is more than usual."""
    reserved = given.get("requests", {}).get("memory")
    limits = given.get("limits", {})
    if reserved is None or "memory" in limits:
        return given
    if (amount(reserved) or 0) <= (amount(USUAL_MEMORY) or 0):
        return given
    return {**given, "limits": {**limits, "memory": reserved}}


def start_seconds(app: App) -> int:
    """How long the app's container may take to start before it is started anew."""
    probe = app.probes.get("startup")
    return probe.period * probe.failures if probe else START_SECONDS


def _variable(name: str, source: Variable, secret: Object | None) -> dict[str, Any]:
    """A variable of the container, which only points at what is secret or somebody else's."""
    if source.value is not None:
        return {"name": name, "value": _literal(source.value)}
    if source.config_map:
        place = {"configMapKeyRef": {"name": source.config_map, "key": source.key}}
    elif source.kubernetes_secret:
        place = {"secretKeyRef": {"name": source.kubernetes_secret, "key": source.key}}
    else:
        own = secret["metadata"]["name"] if secret else ""
        place = {"secretKeyRef": {"name": own, "key": name}}
    return {"name": name, "valueFrom": place}


def _probes(app: App) -> dict[str, Any]:
    """The checks: those given, and where none is, whether the app starts and is ready to serve.

    The one of the start is made often, for people wait for it. The kubelet makes the other as soon
    as that has passed, and then as often as is usual in Kubernetes: a node has to make it for all
    its pods for ever.
    """
    check = {**_check(Probe(path=app.health_path), app.scheme), "timeoutSeconds": 3}
    usual = {
        "startupProbe": {**check, "periodSeconds": 1, "failureThreshold": START_SECONDS},
        "readinessProbe": check,
    }
    given = {
        f"{name}Probe": {
            **_check(probe, app.scheme),
            "periodSeconds": probe.period,
            "timeoutSeconds": probe.timeout,
            "failureThreshold": probe.failures,
        }
        for name, probe in app.probes.items()
    }
    return {**usual, **given}


def _check(probe: Probe, scheme: str) -> dict[str, Any]:
    """How a check of an app is made whose port speaks by this scheme."""
    port = "http" if probe.port is None else probe.port
    if probe.command:
        return {"exec": {"command": [*map(_literal, probe.command)]}}
    if probe.path:
        secure = {"scheme": "HTTPS"} if (probe.scheme or scheme) == HTTPS else {}
        return {"httpGet": {"path": probe.path, "port": port, **secure}}
    return {"tcpSocket": {"port": port}}


def _literal(text: str) -> str:
    """Text that Kubernetes hands on to the letter.

    It fills in variables for ``$(NAME)``, also in commands of checks, and makes ``$`` of ``$$``.
    """
    return text.replace("$", "$$")

"""What Deployments, DaemonSets and their pods say of themselves: whether they run, and why not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from slipway.kube.client import EVENTS, Kube, Object
from slipway.run import last_lines
from slipway.waiting import Patience, allowed

REVISION = "deployment.kubernetes.io/revision"
"""Where a Deployment counts its ReplicaSets; a template that is used again gets a new number."""

CRASHES = 2
"""Restarts after which a crashing container counts as failed: one crash may be an unlucky start."""

HOPELESS = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
"""Waiting reasons that no further wait mends: images are on the nodes before their pods are."""

PASSING = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
"""Waiting reasons that may pass, as a volume or a name turns up."""

REFUSED = "RunContainerError"
"""The runtime did not start a container. Once is nothing: it does so when a machine is busy, and
the kubelet tries again."""

NON_ROOT = "runAsNonRoot"
"""What the kubelet says of a container whose image has root, or a name, for its user."""

NON_ROOT_FIX = "have USER in its Dockerfile name a number but 0, or give the pod a runAsUser"

POD_SECURITY = "violates PodSecurity"
"""What the API says of pods that a namespace does not take."""

QUOTA = "exceeded quota"
"""What the API says of pods that are too many for a namespace."""

REFUSED_PODS = "is forbidden"
"""What the API says of pods that a namespace does not take, or that are too many for it."""

WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet")
"""Kinds of objects whose pods run on."""

PROBES = {"startupProbe", "readinessProbe", "livenessProbe"}
PROBE_DEFAULTS = {"timeoutSeconds": 1, "failureThreshold": 3}
"""How long a check may take and how often in a row it may fail, where nothing is said (Kubernetes'
API, Probe v1 core)."""

LOG_LINES = 15
EVENT_COUNT = 3


@dataclass(frozen=True)
class Trouble:
    """What keeps a pod, or a Deployment that gets no pod, from being ready.

    ``final`` says that no further wait mends it; ``container`` is the one to ask, if one is known.
    """

    reason: str
    final: bool
    container: str = ""

    def __str__(self) -> str:
        return self.reason


def patient_pod(pod: Object) -> Object:
    """A pod whose checks may take longer on machines on which every wait may."""
    if Patience.factor == 1:
        return pod
    return {**pod, "containers": [_patient_container(each) for each in pod["containers"]]}


def _patient_container(container: Object) -> Object:
    found = dict(container)
    for name in PROBES & container.keys():
        usual = {**PROBE_DEFAULTS, **container[name]}
        found[name] = {**usual, **{key: round(allowed(usual[key])) for key in PROBE_DEFAULTS}}
    return found


def patient(obj: Object) -> Object:
    """An object that is, if it is a workload, one with patient pods."""
    if obj["kind"] not in WORKLOADS:
        return obj
    template = template_of(obj)
    made = {**template, "spec": patient_pod(template["spec"])}
    return {**obj, "spec": {**obj["spec"], "template": made}}


def template_of(workload: Object) -> Object:
    """Return the template of which a Deployment or ReplicaSet makes its pods."""
    template: Object = workload["spec"]["template"]
    return template


def revision(replica_set: Object) -> int:
    """Return the number that its Deployment gave a ReplicaSet, or 0 when it has none."""
    text = replica_set["metadata"].get("annotations", {}).get(REVISION, "")
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


def rolled_out(workload: Object) -> bool:
    """Whether all pods of a workload are available and, unless it says so, of its newest version.

    It is a Deployment, a DaemonSet or a StatefulSet.
    """
    status = workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return False
    if workload["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        updated, counts = "updatedNumberScheduled", ["numberAvailable"]
    else:
        wanted = workload["spec"].get("replicas", 1)
        updated, counts = "updatedReplicas", ["replicas", "availableReplicas"]
    if not _keeps_older_pods(workload):
        counts.append(updated)
    return all(status.get(count, 0) == wanted for count in counts)


def _keeps_older_pods(workload: Object) -> bool:
    """Whether pods of an older version stay until somebody wants something else."""
    strategy = workload["spec"].get("updateStrategy", {})
    partition: int = strategy.get("rollingUpdate", {}).get("partition", 0)
    return strategy.get("type") == "OnDelete" or partition > 0


def pod_trouble(pod: Object) -> Trouble | None:
    """What is wrong with a pod, by its status; None when it is well or only on its way."""
    status = pod.get("status", {})
    if status.get("phase") == "Failed":
        return Trouble(joined(status.get("reason", "Failed"), status.get("message")), final=True)
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _refusal(condition)
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        reason, message = waiting.get("reason", ""), waiting.get("message")
        if reason == "CrashLoopBackOff" and container["restartCount"] >= CRASHES:
            return Trouble(joined(reason, _end(container)), True, container["name"])
        if reason in HOPELESS:
            return Trouble(joined(reason, message), True, container["name"])
        if message and NON_ROOT in message:
            return Trouble(f"{joined(reason, message)}: {NON_ROOT_FIX}", True, container["name"])
        if reason in PASSING and not (reason == REFUSED and container["restartCount"] == 0):
            return Trouble(joined(reason, message), False, container["name"])
    return None


def deployment_trouble(deployment: Object) -> Trouble | None:
    """What keeps a Deployment from making pods at all (a quota, a policy, …)."""
    for condition in deployment.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return _refusal(condition)
    return None


def unready(pods: Iterable[Object]) -> list[Object]:
    """The pods that have no containers yet, or one that is not ready."""
    return [
        pod
        for pod in pods
        if not (statuses := pod.get("status", {}).get("containerStatuses"))
        or not all(status.get("ready") for status in statuses)
    ]


def state_of(pods: Iterable[Object]) -> str:
    """What pods that are not ready are doing, in a few words."""
    words = [
        next(iter(status.get("state", {})), "waiting")
        + "".join(
            f" ({state['reason']})" for state in status["state"].values() if state.get("reason")
        )
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses", [])
        if not status.get("ready")
    ]
    return ", ".join(dict.fromkeys(words)) or "waiting for its pods"


def explain(kube: Kube, pod: Object, trouble: Trouble, note: str = "") -> str:
    """A pod's trouble, a ``note``, and what the container and the cluster last said about it."""
    head = joined(f"pod {pod['metadata']['name']}: {trouble}", note, separator="; ")
    container = trouble.container or pod["spec"]["containers"][0]["name"]
    log = last_lines(_last_log(kube, pod, container), LOG_LINES)
    events = last_lines("\n".join(warnings(kube, pod)), EVENT_COUNT)
    return joined(
        head,
        log and f"its last lines:\n{log}",
        events and f"its last events:\n{events}",
        separator="\n",
    )


def warnings(kube: Kube, obj: Object) -> list[str]:
    """An object's Warning events, oldest first, each as ``reason: message``."""
    return [joined(each.get("reason"), each.get("message")) for each in warned(kube, obj)]


def warned(kube: Kube, obj: Object) -> list[Object]:
    """The Warning events themselves."""
    metadata = obj["metadata"]
    events = kube.list(
        EVENTS,
        namespace=metadata["namespace"],
        fields=f"involvedObject.name={metadata['name']},type=Warning",
    ).items
    events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return events


def joined(*parts: str | None, separator: str = ": ") -> str:
    """The parts that are there, joined."""
    return separator.join(part for part in parts if part)


def _refusal(condition: Object) -> Trouble:
    """The trouble that a condition tells; what it waits for may turn up, unless pods may not be."""
    reason = joined(condition.get("reason"), condition.get("message"))
    fix = "raise quota in apps.yml, or ask for less" if QUOTA in reason else ""
    return Trouble(joined(reason, fix, separator="; "), final=POD_SECURITY in reason)


def _last_log(kube: Kube, pod: Object, container: str) -> str:
    """What a container last said: this run of it, or the run before if this one is silent."""
    return kube.log(pod, container, lines=LOG_LINES) or kube.log(
        pod, container, lines=LOG_LINES, previous=True
    )


def _end(container: Object) -> str:
    """How a container's run ended last: ``exit code 1, 3 times``."""
    ended = container.get("lastState", {}).get("terminated", {})
    why = ended.get("reason", "Error")
    how = f"exit code {ended.get('exitCode')}" if why == "Error" else why
    return f"{how}, {container['restartCount'] + 1} times"

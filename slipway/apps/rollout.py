"""Wait until Deployments are rolled out, and when one cannot be, find out why from its pods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from slipway.apps.manifests import OWN_SELECTOR, POD_HASH, App, app_label, owner_of
from slipway.kube import DEPLOYMENTS, EVENTS, PODS, Kube, Object
from slipway.run import last_lines

CRASHES = 2
"""Restarts after which a crashing container counts as failed: one crash may be an unlucky start."""

GRACE_SECONDS = 15.0
"""How long a trouble that may pass by itself (no node has room yet, …) may last."""

REPORT_SECONDS = 15.0
"""How often a wait that goes on says what it waits for."""

LOOK_SECONDS = 1
"""How often pods are looked at; Deployments are watched meanwhile."""

HOPELESS = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
"""Waiting reasons that no further wait mends: images are on the nodes before their pods are."""

PASSING = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
"""Waiting reasons that may pass, as a volume or a name turns up."""

LOG_LINES = 15
EVENT_COUNT = 3


@dataclass(frozen=True)
class Trouble:
    """What keeps a pod, or a Deployment that gets no pod, from being ready."""

    reason: str
    final: bool
    container: str = ""

    def __str__(self) -> str:
        return self.reason


def rolled_out(deployment: Object) -> bool:
    """Whether all pods of a Deployment are of its newest version and available."""
    wanted = deployment["spec"]["replicas"]
    status = deployment.get("status", {})
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        and status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def pod_trouble(pod: Object) -> Trouble | None:
    """What is wrong with a pod, by its status; None when it is well or only on its way."""
    status = pod.get("status", {})
    if status.get("phase") == "Failed":
        return Trouble(_joined(status.get("reason", "Failed"), status.get("message")), final=True)
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Trouble(
                _joined(condition.get("reason", ""), condition.get("message")), final=False
            )
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        reason, message = waiting.get("reason", ""), waiting.get("message")
        if reason == "CrashLoopBackOff" and container["restartCount"] >= CRASHES:
            return Trouble(_joined(reason, _end(container)), True, container["name"])
        if reason in HOPELESS:
            return Trouble(_joined(reason, message), True, container["name"])
        if reason in PASSING:
            return Trouble(_joined(reason, message), False, container["name"])
    return None


def deployment_trouble(deployment: Object) -> Trouble | None:
    """What keeps a Deployment from making pods at all (a quota, a policy, …)."""
    for condition in deployment.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Trouble(
                _joined(condition.get("reason", ""), condition.get("message")), final=False
            )
    return None


def newest_pods(deployment: Object, pods: Iterable[Object]) -> list[Object]:
    """The pods of a Deployment's present template that are not about to go."""
    wanted = _pod_hash(deployment["spec"]["template"])
    return [
        pod
        for pod in pods
        if owner_of(pod) == owner_of(deployment)
        and _pod_hash(pod) == wanted
        and "deletionTimestamp" not in pod["metadata"]
    ]


class Rollouts:
    """Watches the roll-out of several apps at once."""

    def __init__(self, kube: Kube, apps: Mapping[str, App], say: Callable[[str], None]) -> None:
        """``apps`` are the apps to wait for, by id; ``say`` shows a line of progress."""
        self._kube = kube
        self._waiting = dict(apps)
        self._say = say
        self._failed: dict[str, str] = {}
        self._troubled_since: dict[str, float] = {}
        self._began = self._reported = time.monotonic()

    def retry(self, deployments: Iterable[Object]) -> bool:
        """Replace the pods of ``deployments`` that hold back after failures of the past.

        What made them fail may be mended since, and their next try must not wait minutes.
        Returns whether there was any.
        """
        stuck = [
            pod["metadata"]
            for deployment in deployments
            for pod in newest_pods(
                deployment,
                self._kube.list(
                    PODS, namespace=deployment["metadata"]["namespace"], labels=OWN_SELECTOR
                ).items,
            )
            if (trouble := pod_trouble(pod)) and trouble.final
        ]
        for pod in stuck:
            self._kube.delete(PODS, pod["name"], pod["namespace"])
        return bool(stuck)

    def wait(self, seconds: float) -> dict[str, str]:
        """Wait until each app is rolled out or has failed, for ``seconds`` at most.

        Returns the reason of each app that failed, by id; the others are ready.
        """
        while self._waiting:
            listing = self._kube.list(DEPLOYMENTS, labels=OWN_SELECTOR)
            deployments = {owner_of(item): item for item in listing.items}
            self._settle(deployments)
            if not self._waiting:
                break
            pods = self._kube.list(PODS, labels=OWN_SELECTOR).items
            self._look_for_trouble(deployments, pods, seconds)
            self._report(deployments, pods)
            self._follow(listing.version)
        return self._failed

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _settle(self, deployments: Mapping[str, Object]) -> None:
        """Take those off the list that are rolled out."""
        for app_id, app in list(self._waiting.items()):
            deployment = deployments.get(app_id)
            if deployment and rolled_out(deployment):
                ready = deployment["status"].get("availableReplicas", 0)
                count = f"{ready}/{deployment['spec']['replicas']}"
                self._say(f"{app_label(app)}: {count} ready after {self._elapsed:.0f} s")
                del self._waiting[app_id]

    def _follow(self, version: str) -> None:
        """Settle Deployments as they become ready, until it is time to look at pods again."""
        for deployment in self._kube.watch(
            DEPLOYMENTS, since=version, seconds=LOOK_SECONDS, labels=OWN_SELECTOR
        ):
            self._settle({owner_of(deployment): deployment})
            if not self._waiting:
                return

    def _look_for_trouble(
        self, deployments: Mapping[str, Object], pods: Iterable[Object], seconds: float
    ) -> None:
        """Take those off the list that cannot come to be, with the reason."""
        for app_id in list(self._waiting):
            deployment = deployments.get(app_id)
            if not deployment:
                self._fail(app_id, f"its Deployment {app_id} was deleted meanwhile")
                continue
            own = newest_pods(deployment, pods)
            found = [(pod, trouble) for pod in own if (trouble := pod_trouble(pod))]
            pod, trouble = found[0] if found else (None, deployment_trouble(deployment))
            if not trouble:
                self._troubled_since.pop(app_id, None)
            elif trouble.final or self._lasts(app_id):
                self._fail(app_id, self._explain(deployment, pod, trouble))
                continue
            if self._elapsed >= seconds:
                slow = Trouble(_joined(f"not ready after {seconds:.0f} s", _state(own)), True)
                self._fail(app_id, self._explain(deployment, own[0] if own else None, slow))

    def _lasts(self, app_id: str) -> bool:
        """Whether a trouble that may pass has lasted too long."""
        since = self._troubled_since.setdefault(app_id, time.monotonic())
        return time.monotonic() - since >= GRACE_SECONDS

    def _fail(self, app_id: str, reason: str) -> None:
        app = self._waiting.pop(app_id)
        self._failed[app_id] = reason
        headline = reason.split("\n", 1)[0]
        self._say(f"{app_label(app)}: failed after {self._elapsed:.0f} s: {headline}")

    def _report(self, deployments: Mapping[str, Object], pods: Iterable[Object]) -> None:
        """Now and then, say what is still waited for."""
        if time.monotonic() - self._reported < REPORT_SECONDS:
            return
        self._reported = time.monotonic()
        for app_id, app in self._waiting.items():
            state = _state(newest_pods(deployments[app_id], pods))
            self._say(f"{app_label(app)}: {state} after {self._elapsed:.0f} s")

    def _explain(self, deployment: Object, pod: Object | None, trouble: Trouble) -> str:
        """The trouble with what the container and the cluster last said about it."""
        serving = deployment.get("status", {}).get("availableReplicas", 0)
        kept = "what was deployed before still serves" if serving else ""
        if not pod:
            return _joined(str(trouble), kept, separator="; ")
        head = _joined(f"pod {pod['metadata']['name']}: {trouble}", kept, separator="; ")
        container = trouble.container or pod["spec"]["containers"][0]["name"]
        log = last_lines(self._last_log(pod, container), LOG_LINES)
        events = last_lines("\n".join(self._warnings(pod)), EVENT_COUNT)
        return "\n".join(
            (
                head,
                *(("its last lines:", log) if log else ()),
                *(("its last events:", events) if events else ()),
            )
        )

    def _last_log(self, pod: Object, container: str) -> str:
        """What a container last said: this run of it, or the run before if this one is silent."""
        return self._kube.log(pod, container, lines=LOG_LINES) or self._kube.log(
            pod, container, lines=LOG_LINES, previous=True
        )

    def _warnings(self, pod: Object) -> list[str]:
        """The pod's Warning events, oldest first."""
        metadata = pod["metadata"]
        events = self._kube.list(
            EVENTS,
            namespace=metadata["namespace"],
            fields=f"involvedObject.name={metadata['name']},type=Warning",
        ).items
        events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        return [f"{event.get('reason', '')}: {event.get('message', '')}" for event in events]


def _pod_hash(obj: Object) -> str:
    """The hash of the template that a pod came from, or that a template is."""
    return str(obj["metadata"].get("annotations", {}).get(POD_HASH, ""))


def _end(container: Object) -> str:
    """How a container's run ended last: ``exit code 1, 3 times``."""
    ended = container.get("lastState", {}).get("terminated", {})
    why = ended.get("reason", "Error")
    how = f"exit code {ended.get('exitCode')}" if why == "Error" else why
    return f"{how}, {container['restartCount'] + 1} times"


def _state(pods: Iterable[Object]) -> str:
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


def _joined(*parts: str | None, separator: str = ": ") -> str:
    """The parts that are there, joined."""
    return separator.join(part for part in parts if part)

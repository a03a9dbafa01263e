"""Wait until apps are rolled out, and when one cannot be, find out why from its pods."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from slipway.apps.app import App, Environment
from slipway.apps.boundary import Boundary
from slipway.apps.manifests.labels import (
    OWN_SELECTOR,
    is_app,
    is_process,
    named,
    owner_of,
    pod_hash,
)
from slipway.kube.claims import unbound
from slipway.kube.client import DEPLOYMENTS, PODS, Kube, Listing, Object, Resource
from slipway.kube.objects import grouped
from slipway.kube.workloads import (
    Trouble,
    deployment_trouble,
    explain,
    joined,
    pod_trouble,
    rolled_out,
    state_of,
    template_of,
)
from slipway.waiting import allowed

GRACE_SECONDS = 15.0
"""How long a trouble that may pass by itself (no node has room yet, …) may last."""

REPORT_SECONDS = 15.0
"""How often a wait that goes on says what it waits for."""

LOOK_SECONDS = 1
"""How often pods are looked at; Deployments are watched meanwhile."""

FEW = 8
"""Namespaces that are looked at one by one; of more, all are looked at in one request."""

Pods = Mapping[str, Iterable[Object]]
"""The pods of each app, by its id."""


def newest_pods(deployment: Object, pods: Pods) -> list[Object]:
    """Return the pods of a Deployment's present template that are not about to go."""
    wanted = pod_hash(template_of(deployment))
    return [
        pod
        for pod in pods.get(owner_of(deployment), ())
        if pod_hash(pod) == wanted and "deletionTimestamp" not in pod["metadata"]
    ]


class Rollouts:
    """Watches the roll-out of several apps at once."""

    def __init__(
        self, kube: Kube, apps: Mapping[str, Environment], say: Callable[[str], None]
    ) -> None:
        """``apps`` are the apps to wait for, by id; ``say`` shows a line of progress."""
        self._kube = kube
        self._waiting = dict(apps)
        self._seen: dict[str, dict[str, Object]] = {}
        self._say = say
        self._failed: dict[str, str] = {}
        self._troubled_since: dict[str, float] = {}
        self._began = self._reported = time.monotonic()

    def retry(self, deployments: Iterable[Object]) -> bool:
        """Replace the pods of ``deployments`` that hold back after failures of the past.

        What made them fail may be mended since, and their next try must not wait minutes.
        Returns whether there was any.
        """
        found = list(deployments)
        pods = self._pods({each["metadata"]["namespace"] for each in found})
        stuck = [
            pod["metadata"]
            for deployment in found
            for pod in newest_pods(deployment, pods)
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
            listings = self._look(DEPLOYMENTS, self._namespaces)
            self._seen = {}
            for found in listings:
                self._see(found.items)
            self._settle()
            if not self._waiting:
                break
            pods = self._pods(self._namespaces)
            self._look_for_trouble(pods, seconds)
            if self._waiting:
                self._report(pods)
                self._follow(listings[0].version)
        return self._failed

    def _see(self, deployments: Iterable[Object]) -> None:
        """Note how Deployments of the apps are now: their own, and those of their processes."""
        for each in deployments:
            app = self._waiting.get(owner_of(each))
            if app and (is_app(each) or (is_process(each) and _is_of(each, app))):
                self._seen.setdefault(app.id, {})[each["metadata"]["name"]] = each

    @property
    def _namespaces(self) -> set[str]:
        """Where the apps are that are waited for."""
        return {app.namespace for app in self._waiting.values()}

    def _pods(self, namespaces: Collection[str]) -> Pods:
        listings = self._look(PODS, namespaces)
        return grouped((pod for found in listings for pod in found.items), owner_of)

    def _look(self, resource: Resource, namespaces: Collection[str]) -> list[Listing]:
        """What there is of Slipway's in namespaces, the oldest listing first."""
        places: list[str | None] = [*sorted(namespaces)] if len(namespaces) <= FEW else [None]
        return [self._kube.list(resource, namespace=each, labels=OWN_SELECTOR) for each in places]

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _settle(self) -> None:
        """Take those off the list that are rolled out."""
        for app_id, app in list(self._waiting.items()):
            there = self._seen.get(app_id, {})
            if _names(app) <= there.keys() and all(map(rolled_out, there.values())):
                ready = sum(each["status"].get("availableReplicas", 0) for each in there.values())
                count = f"{ready}/{sum(each['spec']['replicas'] for each in there.values())}"
                self._say(f"{app.label}: {count} ready after {self._elapsed:.0f} s")
                del self._waiting[app_id]

    def _follow(self, version: str) -> None:
        """Settle Deployments as they become ready, until it is time to look at pods again."""
        for deployment in self._kube.watch(
            DEPLOYMENTS, since=version, seconds=LOOK_SECONDS, labels=OWN_SELECTOR
        ):
            self._see([deployment])
            self._settle()
            if not self._waiting:
                return

    def _look_for_trouble(self, pods: Pods, seconds: float) -> None:
        """Take those off the list that cannot come to be, with the reason."""
        boundary: Boundary[str] = Boundary(self._fail, self._kube.require_answer)
        for app_id in list(self._waiting):
            if reason := boundary.run([app_id], self._trouble, app_id, pods, seconds):
                self._fail(app_id, reason)

    def _trouble(self, app_id: str, pods: Pods, seconds: float) -> str:
        """Why an app cannot come to be; empty while it still can."""
        app, there = self._waiting[app_id], self._seen.get(app_id, {})
        if lacking := sorted(_names(app) - there.keys()):
            return f"its Deployment {app.namespace}/{lacking[0]} was deleted meanwhile"
        deployment = there[app.name]
        own = [pod for each in there.values() for pod in newest_pods(each, pods)]
        found = [(pod, trouble) for pod in own if (trouble := self._trouble_of(pod))]
        refused = filter(None, map(deployment_trouble, there.values()))
        pod, trouble = found[0] if found else (None, next(refused, None))
        if not trouble:
            self._troubled_since.pop(app_id, None)
        elif trouble.final or self._lasts(app_id):
            return self._explain(deployment, pod, trouble)
        if self._elapsed < seconds:
            return ""
        claims = "; ".join(str(each) for one in own for each in self._unbound(one))
        state = joined(state_of(own), claims, separator="; ")
        slow = Trouble(joined(f"not ready after {seconds:.0f} s", state), True)
        return self._explain(deployment, own[0] if own else None, slow)

    def _trouble_of(self, pod: Object) -> Trouble | None:
        """What is wrong with a pod: with a claim of it that will get no volume, or else itself.

        The scheduler says nothing of a pod for as long as it waits for the volumes of its claims.
        """
        lacking = [each.reason for each in self._unbound(pod) if each.final]
        return Trouble("; ".join(lacking), final=False) if lacking else pod_trouble(pod)

    def _unbound(self, pod: Object) -> list[Trouble]:
        """What keeps a pod's claims from having volumes; nothing once it is on a node."""
        return [] if pod["spec"].get("nodeName") else [*unbound(self._kube, pod)]

    def _lasts(self, app_id: str) -> bool:
        """Whether a trouble that may pass has lasted too long."""
        since = self._troubled_since.setdefault(app_id, time.monotonic())
        return time.monotonic() - since >= allowed(GRACE_SECONDS)

    def _fail(self, app_id: str, reason: str) -> None:
        app = self._waiting.pop(app_id)
        self._failed[app_id] = reason
        headline = reason.split("\n", 1)[0]
        self._say(f"{app.label}: failed after {self._elapsed:.0f} s: {headline}")

    def _report(self, pods: Pods) -> None:
        """Now and then, say what is still waited for."""
        if time.monotonic() - self._reported < REPORT_SECONDS:
            return
        self._reported = time.monotonic()
        for app_id, app in self._waiting.items():
            there = self._seen[app_id].values()
            state = state_of(pod for each in there for pod in newest_pods(each, pods))
            self._say(f"{app.label}: {state} after {self._elapsed:.0f} s")

    def _explain(self, deployment: Object, pod: Object | None, trouble: Trouble) -> str:
        """The trouble with what the container and the cluster last said about it."""
        serving = deployment.get("status", {}).get("availableReplicas", 0)
        kept = "what was deployed before still serves" if serving else ""
        if not pod:
            return joined(str(trouble), kept, separator="; ")
        return explain(self._kube, pod, trouble, kept)


def _names(app: Environment) -> set[str]:
    """The names of the Deployments that an app has to have."""
    processes = app.processes if isinstance(app, App) else ()
    return {named(app), *(named(app, process) for process in processes)}


def _is_of(deployment: Object, app: Environment) -> bool:
    """Whether a process is one that the app has; of what is rolled back, all are."""
    return not isinstance(app, App) or deployment["metadata"]["name"] in _names(app)

"""Add-ons: objects of any kind from manifests, applied and waited for, or removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeGuard

import yaml

from slipway.errors import Problem, SlipwayError
from slipway.kube.claims import unbound
from slipway.kube.client import NAMESPACES, PODS, ApiError, Kube, Object, Resource
from slipway.kube.namespaces import remaining, titles
from slipway.kube.objects import HASH, contains, said, sealed
from slipway.kube.workloads import (
    EVENT_COUNT,
    NON_ROOT,
    REFUSED_PODS,
    WORKLOADS,
    Trouble,
    deployment_trouble,
    explain,
    joined,
    pod_trouble,
    rolled_out,
    state_of,
    unready,
    warnings,
)
from slipway.waiting import allowed, wait_until

POLL_SECONDS = 0.3

VOLUME_SECONDS = 15.0
"""How long a volume may take to be bound for which nothing is to be made."""

NO_ADDRESS = "AllocationFailed"
"""How MetalLB begins to say that it has no address, or not the one that is asked for."""

READERS = 4
"""Objects that are read at the same time: for a cluster far away, as near ones gain nothing."""

_FIRST = ("Namespace", "CustomResourceDefinition")
_LAST = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


def documents(text: str) -> list[Object]:
    """The objects of a manifest."""
    return [document for document in yaml.safe_load_all(text) if document]


def in_order(objects: Iterable[Object]) -> list[Object]:
    """What others need comes first; webhooks come last.

    An add-on's own webhook answers only when its pods run. Applied before it, the add-on's
    objects do not have to wait for that.
    """
    ranks = {kind: rank for rank, kind in enumerate(_FIRST, start=-len(_FIRST))}
    return sorted(objects, key=lambda obj: ranks.get(obj["kind"], int(obj["kind"] in _LAST)))


class Applier:
    """Applies objects to one cluster; ``timeout`` is in seconds, for each step."""

    def __init__(self, kube: Kube, timeout: float) -> None:
        self._kube = kube
        self._timeout = timeout

    def apply(self, objects: Sequence[Object], *, dry_run: bool = False) -> list[str]:
        """Apply what is not so already; return its ``Kind/name``.

        A kind that has just been defined and a webhook that is still starting are waited for.
        With ``dry_run``, objects of a kind or namespace that does not exist yet count as changed.
        """
        changed = []
        wanted = [sealed(obj) for obj in in_order(objects)]
        for obj, before in zip(wanted, self._read(wanted), strict=True):
            if contains(before, said(obj)):
                continue
            after = self.apply_one(obj, dry_run=dry_run)
            # What the API writes in another way, such as 60s as 1m0s, is not contained, and so.
            if before is None or after is None or as_written(before) != as_written(after):
                changed.append(f"{obj['kind']}/{obj['metadata']['name']}")
        return changed

    def wait(self, objects: Sequence[Object]) -> None:
        """Wait until the workloads among ``objects`` run and LoadBalancer services have an address.

        Raises SlipwayError with every object of which that does not become true, and what its
        pods and events say; soon if nothing will ever give one of them a volume, or if
        its pods are refused.
        """
        waiting = [obj for obj in objects if _is_waited_for(obj)]
        began = time.monotonic()
        look_at = began + allowed(VOLUME_SECONDS)

        def all_run() -> bool:
            nonlocal look_at
            waiting[:] = [obj for obj in waiting if not is_running(self._get(obj))]
            if waiting and time.monotonic() >= look_at:
                if hopeless := [obj for obj in waiting if self._is_hopeless(obj)]:
                    raise SlipwayError(
                        self._reason(obj, time.monotonic() - began) for obj in hopeless
                    )
                look_at = time.monotonic() + allowed(VOLUME_SECONDS)
            return not waiting

        if not wait_until(all_run, self._timeout, POLL_SECONDS):
            raise SlipwayError(self._reason(obj, self._timeout) for obj in waiting)

    def remove(
        self, objects: Sequence[Object], say: Callable[[str], None], *, dry_run: bool = False
    ) -> list[str]:
        """Remove what was applied of ``objects``, and wait for its end; return its ``Kind/name``.

        What somebody else has made under one of these names stays, and so does a namespace with
        anything else in it, of which ``say`` tells.
        """
        there = [obj for obj in self._read([*reversed(in_order(objects))]) if _is_applied(obj)]
        gone: list[Object] = []
        for obj in there:
            if obj["kind"] == NAMESPACES.kind and (others := self._others(obj, gone)):
                say(f"namespace {obj['metadata']['name']} stays, it still has {titles(others)}")
                continue
            if not dry_run:
                self._delete(obj)
            gone.append(obj)
        if not dry_run:
            self._wait_for_end(gone)
        return [f"{obj['kind']}/{obj['metadata']['name']}" for obj in gone]

    def _others(self, namespace: Object, gone: Iterable[Object]) -> list[Object]:
        """What a namespace has beside what has gone from it."""
        name = namespace["metadata"]["name"]
        own = [obj for obj in gone if obj["metadata"].get("namespace") == name]
        return remaining(self._kube, name, own)

    def _wait_for_end(self, objects: Sequence[Object]) -> None:
        """Wait until there is none of ``objects``: what is still going cannot be made again."""
        if not wait_until(lambda: not any(self._read(objects)), self._timeout, POLL_SECONDS):
            left = filter(None, self._read(objects))
            what = f"has not gone after {self._timeout:.0f} s"
            raise SlipwayError(Problem(_title(obj), what) for obj in left)

    def _read(self, objects: Sequence[Object]) -> list[Object | None]:
        """Each object as it is now; None where there is none, or where it cannot be read yet."""

        def read(obj: Object) -> Object | None:
            try:
                return self._get(obj)
            except ApiError as error:
                if not _may_pass(error):
                    raise
                return None

        with ThreadPoolExecutor(READERS) as pool:
            # One for each group first: what is known of a group is asked for once.
            list(pool.map(self._resource, {obj["apiVersion"]: obj for obj in objects}.values()))
            return list(pool.map(read, objects))

    def apply_one(self, obj: Object, *, dry_run: bool) -> Object | None:
        """Apply an object and return it as it is then; None where a dry run cannot tell.

        Raises ApiError when the API refuses, for the whole timeout if the refusal may pass.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return self._kube.apply(obj, dry_run=dry_run)
            except ApiError as error:
                if not _may_pass(error):
                    raise
                refusal = error
            if dry_run:
                return None
            if time.monotonic() > deadline:
                raise refusal
            time.sleep(POLL_SECONDS)

    def _delete(self, obj: Object) -> None:
        if resource := self._resource(obj):
            self._kube.delete(resource, *_place(obj))

    def _get(self, obj: Object) -> Object | None:
        resource = self._resource(obj)
        return self._kube.get(resource, *_place(obj)) if resource else None

    def _resource(self, obj: Object) -> Resource | None:
        """Where the API keeps objects of this kind; None as long as it does not know the kind."""
        return self._kube.find(obj["apiVersion"], obj["kind"])

    def _is_hopeless(self, obj: Object) -> bool:
        """Whether a workload's pods are refused, or one will never run as it is.

        A Service is, once whoever gives addresses has said that there is none for it.
        """
        if obj["kind"] not in WORKLOADS:
            return any(NO_ADDRESS in text for text in warnings(self._kube, obj))
        if self._refused(obj):
            return True
        for pod in unready(self._pods(obj)):
            trouble = pod_trouble(pod)
            if trouble and NON_ROOT in trouble.reason:
                return True
            if any(each.final for each in unbound(self._kube, pod)):
                return True
        return False

    def _refused(self, workload: Object) -> str:
        """Why a workload gets none of its pods, in the API's words; empty if it gets them."""
        trouble = deployment_trouble(self._get(workload) or {})
        told = [str(trouble)] if trouble else warnings(self._kube, workload)
        return next((text for text in reversed(told) if REFUSED_PODS in text), "")

    def _reason(self, obj: Object, waited: float) -> Problem:
        """Why an object that was waited for is not as it should be."""
        after = f"after {waited:.0f} s"
        if obj["kind"] == "Service":
            said = "; ".join(dict.fromkeys(warnings(self._kube, obj)))
            fix = "give metallb_pool addresses that nothing else uses"
            return Problem(_title(obj), joined(f"has no address {after}", said), fix)
        return Problem(_title(obj), joined(f"does not run {after}", self._pods_reason(obj)))

    def _pods_reason(self, workload: Object) -> str:
        """What keeps a workload's pods from running, or from being made."""
        pods = unready(self._pods(workload))
        if refused := self._refused(workload):
            return refused
        if not pods:
            return "; ".join(warnings(self._kube, workload)[-EVENT_COUNT:])
        troubled = [(pod, trouble) for pod in pods if (trouble := pod_trouble(pod))]
        pod, trouble = (troubled or [(pods[0], Trouble(state_of(pods), final=True))])[0]
        return explain(self._kube, pod, trouble, "; ".join(map(str, unbound(self._kube, pod))))

    def _pods(self, workload: Object) -> list[Object]:
        labels = workload["spec"]["selector"].get("matchLabels", {})
        return self._kube.list(
            PODS,
            namespace=workload["metadata"]["namespace"],
            labels=",".join(f"{key}={value}" for key, value in labels.items()),
        ).items


def _is_applied(obj: Object | None) -> TypeGuard[Object]:
    """Whether an object is there, was applied by Slipway, and is not being deleted already."""
    metadata = obj["metadata"] if obj else {}
    return HASH in (metadata.get("annotations") or {}) and "deletionTimestamp" not in metadata


def as_written(obj: Object) -> Object:
    """What somebody wrote: without the API's bookkeeping and what controllers report."""
    metadata = {
        name: value
        for name, value in obj["metadata"].items()
        if name not in ("generation", "managedFields", "resourceVersion")
    }
    return {**obj, "metadata": metadata, "status": None}


def _title(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"


def _place(obj: Object) -> tuple[str, str | None]:
    metadata = obj["metadata"]
    return metadata["name"], metadata.get("namespace")


def _may_pass(error: ApiError) -> bool:
    """Whether the refusal ends by itself: something is still starting."""
    return error.status == 404 or (error.status == 500 and "webhook" in str(error))


def _is_waited_for(obj: Object) -> bool:
    if obj["apiVersion"] == "v1" and obj["kind"] == "Service":
        return bool(obj.get("spec", {}).get("type") == "LoadBalancer")
    return obj["apiVersion"] == "apps/v1" and obj["kind"] in WORKLOADS


def is_running(obj: Object | None) -> bool:
    """Whether a workload has all its pods or a service its address; what is neither just is."""
    if obj is None:
        return False
    if not _is_waited_for(obj):
        return True
    if obj["kind"] == "Service":
        return bool(obj.get("status", {}).get("loadBalancer", {}).get("ingress"))
    return rolled_out(obj)

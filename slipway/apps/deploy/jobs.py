"""Wait for a job of an app's, and when it fails, find out why from its pod."""

from __future__ import annotations

import time

from slipway.apps.manifests.jobs import has_failed, has_succeeded
from slipway.errors import Problem, SlipwayError
from slipway.kube.client import JOBS, PODS, Kube, Object
from slipway.kube.workloads import Trouble, explain, pod_trouble
from slipway.waiting import allowed

OF_JOB = "batch.kubernetes.io/job-name"
"""The label by which Kubernetes tells whose pods those of Jobs are."""

LOOK_SECONDS = 0.5


def finish(kube: Kube, job: Object, seconds: float, note: str) -> None:
    """Wait for the good end of a Job; one that takes longer than ``seconds`` is ended.

    Raises SlipwayError with what its pod last said, and the ``note``, when it comes to no good end.
    """
    name, space = job["metadata"]["name"], job["metadata"]["namespace"]
    deadline = time.monotonic() + allowed(seconds)
    while not has_succeeded(found := kube.get(JOBS, name, space)):
        if found is None:
            raise SlipwayError(Problem(f"job {name}", "was deleted meanwhile"))
        pods = kube.list(PODS, namespace=space, labels=f"{OF_JOB}={name}").items
        pod = pods[-1] if pods else None
        trouble = _trouble(found, pod)
        if not trouble and time.monotonic() > deadline:
            trouble = Trouble(f"does not end within {seconds:.0f} s, and was ended", final=True)
        if trouble:
            what = explain(kube, pod, trouble, note) if pod else f"{trouble}; {note}"
            kube.delete(JOBS, name, space)
            raise SlipwayError(Problem(f"job {name}", what))
        time.sleep(LOOK_SECONDS)


def _trouble(job: Object, pod: Object | None) -> Trouble | None:
    """Why a job comes to no good end; None while it still may."""
    if not has_failed(job):
        found = pod_trouble(pod) if pod else None
        return found if found and found.final and not _has_ended(pod) else None
    return Trouble(_exit(pod) or _reason(job), final=True)


def _has_ended(pod: Object | None) -> bool:
    """Whether a pod's containers have ended, of which its Job tells soon."""
    return (pod or {}).get("status", {}).get("phase") in ("Succeeded", "Failed")


def _exit(pod: Object | None) -> str:
    """How the container ended: ``exit code 3``; empty where nothing is known of that."""
    for status in (pod or {}).get("status", {}).get("containerStatuses", ()):
        if ended := status.get("state", {}).get("terminated"):
            reason = ended.get("reason", "Error")
            return f"exit code {ended.get('exitCode')}" if reason == "Error" else str(reason)
    return ""


def _reason(job: Object) -> str:
    """What the Job itself says of its end."""
    [failed] = [each for each in job["status"]["conditions"] if each["type"] == "Failed"]
    return str(failed.get("message", failed["type"]))

"""An app's jobs: what runs of its image to an end, and when.

One that runs before each version has a name that tells its pod, so that each version has its own
and one that ran is known by being there. One that runs once has the same name for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slipway.apps.app import FIRST, Built, Job
from slipway.apps.manifests.labels import APP, NAME, named, part_metadata
from slipway.apps.manifests.pod import job_pod
from slipway.kube.client import CRON_JOBS, JOBS, Object
from slipway.kube.objects import digest, of_kind
from slipway.waiting import allowed

WHEN = "slipway.internal/when"
"""On a Job: when it runs."""

LATE_SECONDS = 300
"""How late a job may begin by its schedule, as after a node was away."""

SPARE_SECONDS = 60
"""How long a job may run beyond its time where no run is there any more to end it."""


def jobs(app: Built, config: Object | None, secret: Object | None) -> Iterator[Object]:
    """The jobs of an app as objects: Jobs, and CronJobs for those that have a schedule."""
    for name, job in sorted(app.jobs.items()):
        spec = {
            "backoffLimit": 0,
            "activeDeadlineSeconds": round(allowed(job.timeout)) + SPARE_SECONDS,
            "template": {
                # The Jobs that a CronJob makes are Kubernetes' own, and have no label of Slipway's.
                "metadata": {"labels": {NAME: named(app, name), APP: app.name}},
                "spec": job_pod(app, name, job, config, secret),
            },
        }
        yield _scheduled(app, name, job, spec) if job.schedule else _job(app, name, job, spec)


def _job(app: Built, name: str, job: Job, spec: dict[str, Any]) -> Object:
    about = part_metadata(app, name, **{WHEN: job.when})
    if job.when != FIRST:
        about["name"] += f"-{digest(spec)[:10]}"
    return of_kind(JOBS, about, spec)


def _scheduled(app: Built, name: str, job: Job, spec: dict[str, Any]) -> Object:
    schedule = {
        "schedule": job.schedule,
        "suspend": False,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": LATE_SECONDS,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"spec": spec},
    }
    return of_kind(CRON_JOBS, part_metadata(app, name), schedule)


def is_first(obj: Object) -> bool:
    """Whether an object is a job that runs once, as soon as its app serves."""
    annotations = obj["metadata"].get("annotations") or {}
    return bool(obj["kind"] == JOBS.kind and annotations.get(WHEN) == FIRST)


def is_job(obj: Object) -> bool:
    """Whether an object is a job that runs to its end during a deployment."""
    return bool(obj["kind"] == JOBS.kind and WHEN in (obj["metadata"].get("annotations") or {}))


def has_succeeded(job: Object | None) -> bool:
    """Whether a Job came to a good end."""
    return _has(job, "Complete")


def has_failed(job: Object | None) -> bool:
    """Whether a Job came to a bad end."""
    return _has(job, "Failed")


def _has(job: Object | None, kind: str) -> bool:
    conditions = (job or {}).get("status", {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)

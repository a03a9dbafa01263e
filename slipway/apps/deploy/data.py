"""The data of an app's volume as a file, and a file as its data, with the app stopped meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.apps.app import Environment
from slipway.apps.deploy.chosen import branch_of, chosen, title_of
from slipway.apps.deploy.rollout import Rollouts
from slipway.apps.manifests.labels import NAME, OWN_SELECTOR, is_app, owner_of
from slipway.apps.manifests.volumes import volume_of
from slipway.apps.volumes.archive import Contents, check_new, contents, written
from slipway.apps.volumes.helper import Helper, Volume, users
from slipway.errors import Problem, SlipwayError
from slipway.interrupts import also_when_ended
from slipway.kube.client import CRON_JOBS, DEPLOYMENTS, VOLUME_CLAIMS, Kube, Object
from slipway.kube.namespaces import titles
from slipway.kube.workloads import template_of
from slipway.waiting import wait_until


@dataclass(frozen=True)
class Stored:
    """A volume of an app that is in the cluster."""

    deployment: Object
    volume: Volume

    @property
    def title(self) -> str:
        """How messages name it."""
        return f"{title_of(self.deployment)}, volume {volume_of(self.volume.claim)}"


def find(kube: Kube, app: str, branch: str, volume: str, *, command: str) -> Stored:
    """The volume of an app that is meant; an app with one volume need not have it named.

    Raises SlipwayError when that is none or several. The ``command`` is the user's.
    """
    deployments = kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items
    deployment = chosen(filter(is_app, deployments), app, branch, command=command)
    app_id = owner_of(deployment)
    space = deployment["metadata"]["namespace"]
    listed = kube.list(VOLUME_CLAIMS, namespace=space, labels=OWN_SELECTOR).items
    found = {volume_of(each): each for each in listed if owner_of(each) == app_id}
    meant = [each for name, each in sorted(found.items()) if volume in ("", name)]
    if len(meant) != 1:
        names = ", ".join(sorted(found)) or "none"
        what = f"{title_of(deployment)} has no volume of that name; it has {names}"
        if not volume:
            what = f"{title_of(deployment)} has {names}"
        raise SlipwayError(Problem(f"VOLUME={volume}", what, "name one" if found else ""))
    return Stored(deployment, Volume.of(meant[0], template_of(deployment)["spec"]))


def save(stored: Stored, helper: Helper, path: Path, seconds: float) -> None:
    """Write the data of a volume to a file that is not there yet."""
    check_new(path)
    with _stopped(stored, helper.kube, seconds, helper.say), written(path) as target:
        helper.save(stored.volume, target)


def load(stored: Stored, helper: Helper, path: Path, found: Contents, seconds: float) -> None:
    """Have the data of a file in place of that of a volume; what was there stays if that fails."""
    with _stopped(stored, helper.kube, seconds, helper.say):
        helper.load(stored.volume, path, found)


def look(path: Path, say: Callable[[str], None]) -> Contents:
    """What a file has, all of which may be loaded."""
    found = contents(path)
    say(f"{path}: {found.members} files and folders, {found.size >> 20} MiB, whole")
    return found


@contextmanager
def _stopped(
    stored: Stored, kube: Kube, seconds: float, say: Callable[[str], None]
) -> Iterator[None]:
    """Have nothing of an app that has a volume run in the block; then it runs again in any case."""
    deployment = stored.deployment
    space, app_id = deployment["metadata"]["namespace"], owner_of(deployment)
    crons = [
        each["metadata"]["name"]
        for each in kube.list(CRON_JOBS, namespace=space, labels=OWN_SELECTOR).items
        if owner_of(each) == app_id and not each["spec"].get("suspend")
    ]

    def set_going(*, is_on: bool) -> None:
        for name in crons:
            kube.merge(CRON_JOBS, name, space, {"spec": {"suspend": not is_on}})
        replicas = deployment["spec"].get("replicas", 1) if is_on else 0
        change = {"spec": {"replicas": replicas}}
        kube.merge(DEPLOYMENTS, deployment["metadata"]["name"], space, change)

    with also_when_ended(lambda: set_going(is_on=True)):
        say(f"{stored.title}: the app is stopped")
        set_going(is_on=False)
        _wait_until_unused(stored, kube, seconds)
        yield
    environment = Environment(
        id=app_id,
        name=deployment["metadata"]["labels"][NAME],
        namespace=space,
        git_branch=branch_of(deployment),
    )
    if failed := Rollouts(kube, {app_id: environment}, say).wait(seconds):
        raise SlipwayError(Problem(title_of(deployment), failed[app_id]))


def _wait_until_unused(stored: Stored, kube: Kube, seconds: float) -> None:
    claim = stored.volume.claim
    if not wait_until(lambda: not users(kube, claim), seconds, 0.5):
        left = titles({"kind": "Pod", **each} for each in users(kube, claim))
        what = f"is still in use after {seconds:.0f} s, by {left}"
        raise SlipwayError(Problem(stored.title, what, "wait for its end, or end it"))

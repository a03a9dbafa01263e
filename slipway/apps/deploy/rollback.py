"""Back to the version before, without building: the pod of the Deployment's last ReplicaSet.

As with ``kubectl rollout undo``, going back twice leads to where one came from; that ends the hold
as well. Images and configurations of the version before are still there, for that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from msgspec import structs

from slipway.apps.app import Environment, RolledBack
from slipway.apps.deploy.chosen import branch_of, chosen, title_of
from slipway.apps.deploy.rollout import Rollouts
from slipway.apps.environments.pin import OF_THE_VERSION, held_from
from slipway.apps.manifests.certificates import showing, version_in
from slipway.apps.manifests.labels import (
    COMMIT,
    HELD_FROM,
    OWN_SELECTOR,
    is_app,
    is_own,
    is_process,
    owner_of,
    pod_hash,
)
from slipway.apps.manifests.volumes import alone
from slipway.errors import Problem, SlipwayError
from slipway.kube.claims import claims_of
from slipway.kube.client import AUTOSCALERS, DEPLOYMENTS, REPLICA_SETS, Kube, Object
from slipway.kube.objects import key_of
from slipway.kube.workloads import revision, template_of

COMMAND = "make rollback"
"""By what a user goes back."""

TEMPLATE_HASH = "pod-template-hash"
"""The label by which a Deployment tells the pods of its ReplicaSets apart."""


@dataclass(frozen=True)
class Version:
    """A version of an app: its image, and the commit that it came of."""

    image: str
    commit: str

    def __str__(self) -> str:
        return f"{self.image} (commit {self.commit[:7] or 'unknown'})"


@dataclass(frozen=True)
class Rollback:
    """A Deployment and the ReplicaSet whose pod it is to have again.

    Its ``processes`` go with it, each with the ReplicaSet that had the same image; one that had
    none, as it is newer, stays as it is.
    """

    deployment: Object
    target: Object
    processes: Sequence[tuple[Object, Object | None]] = ()

    @property
    def was(self) -> Version:
        """What it comes from."""
        return _version(self.deployment)

    @property
    def becomes(self) -> Version:
        """What it goes to."""
        return _version(self.target)

    @property
    def environment(self) -> Environment:
        """What goes back."""
        app_id = owner_of(self.deployment)
        namespace, _, name = app_id.partition("/")
        branch = branch_of(self.target)
        return Environment(id=app_id, name=name, namespace=namespace, git_branch=branch)

    @property
    def wanted_on_nodes(self) -> RolledBack:
        """What goes back, with the image that nodes are to have for it."""
        selector = template_of(self.target)["spec"].get("nodeSelector", {})
        environment = structs.asdict(self.environment)
        return RolledBack(**environment, image=self.becomes.image, node_selector=selector)

    @property
    def ends_hold(self) -> bool:
        """Whether it goes to the version that a rollback before came from."""
        return held_from(self.deployment) == pod_hash(template_of(self.target))

    def wanted(self) -> list[Object]:
        """The Deployments with the pods of the version before; the rest of them stays.

        A pod that has volumes is the only one, however many of the others there are.
        """
        both = [(self.deployment, self.target), *self.processes]
        return [self._wanted(deployment, target or deployment) for deployment, target in both]

    def _wanted(self, deployment: Object, target: Object) -> Object:
        metadata, spec = deployment["metadata"], deployment["spec"]
        origin = target["metadata"].get("annotations", {})
        annotations = {
            key: value
            for key, value in metadata["annotations"].items()
            if key.startswith("slipway.internal/") and key != HELD_FROM
        }
        annotations |= {key: origin[key] for key in OF_THE_VERSION if key in origin}
        if not self.ends_hold:
            annotations[HELD_FROM] = pod_hash(template_of(deployment))
        pod = template_of(target)
        labels = {k: v for k, v in pod["metadata"]["labels"].items() if k != TEMPLATE_HASH}
        template = {**pod, "metadata": {**pod["metadata"], "labels": labels}}
        shown = showing(template, version_in(template_of(deployment)))
        return {
            "apiVersion": DEPLOYMENTS.api_version,
            "kind": DEPLOYMENTS.kind,
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "labels": metadata["labels"],
                "annotations": annotations,
            },
            "spec": alone({**spec, "template": shown}),
        }


def find(kube: Kube, app: str, branch: str) -> Rollback:
    """What an app goes back to; it is named as ``name`` or ``namespace/name``, and by its branch.

    Raises SlipwayError when that is none or several of those in the cluster, or when there is no
    version before.
    """
    deployments = kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items
    deployment = chosen(filter(is_app, deployments), app, branch, command=COMMAND)
    namespace, app_id = deployment["metadata"]["namespace"], owner_of(deployment)
    replica_sets = kube.list(REPLICA_SETS, namespace=namespace, labels=OWN_SELECTOR).items
    earlier = _earlier(deployment, replica_sets)
    if not earlier:
        what = f"has no version before {_version(deployment)}"
        raise SlipwayError(Problem(title_of(deployment), what))
    image = _version(earlier[0]).image
    processes = []
    for each in deployments:
        if is_process(each) and owner_of(each) == app_id:
            alike = [one for one in _earlier(each, replica_sets) if _version(one).image == image]
            processes.append((each, alike[0] if alike else None))
    return Rollback(deployment, earlier[0], processes)


def _earlier(deployment: Object, replica_sets: Iterable[Object]) -> list[Object]:
    """The ReplicaSets of a Deployment that have another pod than it has now, the newest first."""
    uid, present = deployment["metadata"]["uid"], pod_hash(template_of(deployment))
    found = [
        each
        for each in replica_sets
        if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", []))
        and pod_hash(template_of(each)) != present
    ]
    return sorted(found, key=revision, reverse=True)


def carry_out(
    kube: Kube, rollback: Rollback, *, seconds: float, say: Callable[[str], None]
) -> None:
    """Go back, and wait until the pods run; raises SlipwayError with the reason if they do not."""
    environment = rollback.environment
    if claims_of(template_of(rollback.target)):
        _unscale(kube, rollback.deployment)
    for deployment in rollback.wanted():
        kube.apply(deployment)
    failed = Rollouts(kube, {environment.id: environment}, say).wait(seconds)
    if failed:
        raise SlipwayError(Problem(title_of(rollback.deployment), failed[environment.id]))


def _unscale(kube: Kube, deployment: Object) -> None:
    """Have nothing decide how many pods a Deployment has: the next run that may makes it again."""
    _kind, space, name = key_of(deployment)
    found = kube.get(AUTOSCALERS, name, space)
    if found and is_own(found):
        kube.delete(AUTOSCALERS, name, space)


def _version(obj: Object) -> Version:
    commit = obj["metadata"].get("annotations", {}).get(COMMIT, "")
    return Version(template_of(obj)["spec"]["containers"][0]["image"], commit)

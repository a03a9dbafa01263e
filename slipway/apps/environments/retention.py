"""Which images are needed: of each app the one to run, the one before, and what pods have now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from slipway.apps.app import Built, Environment, runnable
from slipway.apps.manifests.labels import OWN_SELECTOR, owner_of
from slipway.kube.client import DEPLOYMENTS, REPLICA_SETS, Kube, Object
from slipway.kube.workloads import revision, template_of


@dataclass(frozen=True)
class History:
    """What a cluster runs and ran: Slipway's Deployments and ReplicaSets, the newest first."""

    deployments: Sequence[Object]
    replica_sets: Sequence[Object]

    @classmethod
    def read(cls, kube: Kube) -> History:
        """Return what a cluster says, by two list calls."""
        return cls.of(
            kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items,
            kube.list(REPLICA_SETS, labels=OWN_SELECTOR).items,
        )

    @classmethod
    def of(cls, deployments: Sequence[Object], replica_sets: Iterable[Object]) -> History:
        """Return the history that these objects tell."""
        return cls(deployments, sorted(replica_sets, key=revision, reverse=True))

    def retained(self, apps: Collection[Environment]) -> list[str]:
        """Return the references of the images that stay, sorted.

        Of an app these are its image and the newest other one that it ran, and every image that its
        pods still have. An app that failed, or has no image yet, keeps all that its ReplicaSets
        name: which of them is good is not known. Apps that are not given keep nothing.
        """
        templates: Mapping[str, list[set[str]]] = defaultdict(list)
        for obj in (*self.deployments, *self.replica_sets):
            templates[owner_of(obj)].append(_images(obj))
        kept = {app.image for app in apps if isinstance(app, Built)}
        sound = {app.id: app.image for app in runnable(apps)}
        for app in apps:
            ran = templates[app.id]
            if app.id in sound:
                before = (images for images in ran if sound[app.id] not in images)
                kept |= next(before, set())
            else:
                kept.update(*ran)
        return sorted(kept | {each.image for each in serving(apps, self.replica_sets)})


@dataclass(frozen=True)
class Serving:
    """An image that pods have now, and the labels of the nodes that those pods want."""

    image: str
    node_selector: dict[str, str]


def serving(apps: Iterable[Environment], replica_sets: Iterable[Object]) -> list[Serving]:
    """Return what pods of the apps have now.

    That is another image than the one built for an app that failed, or was rolled back.
    """
    ids = {app.id for app in apps}
    return [
        Serving(image, template_of(replica_set)["spec"].get("nodeSelector", {}))
        for replica_set in replica_sets
        if owner_of(replica_set) in ids and replica_set.get("status", {}).get("replicas")
        for image in sorted(_images(replica_set))
    ]


def _images(obj: Object) -> set[str]:
    """Return the images of the containers of a workload's pods."""
    pod = template_of(obj)["spec"]
    return {each["image"] for each in (*pod.get("initContainers", []), *pod["containers"])}

"""Which images are needed: of each app the one to run, the one before, and what pods have now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from slipway.apps.app import App, Environment, images_of, runnable
from slipway.apps.manifests.labels import OWN_SELECTOR, brought_along, extra_images, owner_of
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
        name, and what it brought along does, too: which of them is good is not known. Other apps
        that are not given keep nothing. With each version go the images that its manifests and
        charts named.
        """
        templates: Mapping[str, list[set[str]]] = defaultdict(list)
        for obj in (*self.deployments, *self.replica_sets):
            templates[owner_of(obj)].append(_images(obj))
        kept = images_of(apps)
        sound = {app.id: app.image for app in runnable(apps)}
        for app in apps:
            ran = templates[app.id]
            if app.id in sound:
                before = (images for images in ran if sound[app.id] not in images)
                kept |= next(before, set())
            else:
                kept.update(*ran)
        for app_id in _brought_along(apps, (*self.deployments, *self.replica_sets)):
            kept.update(*templates[app_id])
        return sorted(kept | {each.image for each in serving(apps, self.replica_sets)})


@dataclass(frozen=True)
class Serving:
    """An image that pods have now, and the labels of the nodes that those pods want."""

    image: str
    node_selector: dict[str, str]
    tolerant: bool = False


def serving(apps: Iterable[Environment], replica_sets: Iterable[Object]) -> list[Serving]:
    """Return what pods of the apps have now.

    That is another image than the one built for an app that failed, or was rolled back. Of one that
    failed or has no image yet, the pods of manifests and charts have what was noted then; on which
    nodes, nothing tells. What such an app brought along has what it had.
    """
    apps, replica_sets = [*apps], [*replica_sets]
    sound = {app.id for app in runnable(apps)}
    unsettled = {app.id for app in apps if isinstance(app, App)} - sound
    ids = {app.id for app in apps} | _brought_along(apps, replica_sets)
    found = [
        replica_set
        for replica_set in replica_sets
        if owner_of(replica_set) in ids and replica_set.get("status", {}).get("replicas")
    ]
    own = [
        Serving(image, template_of(each)["spec"].get("nodeSelector", {}))
        for each in found
        for image in sorted(_own_images(each))
    ]
    noted = (each for each in found if owner_of(each) in unsettled)
    return own + [Serving(image, {}) for each in noted for image in extra_images(each)]


def _brought_along(apps: Iterable[Environment], workloads: Iterable[Object]) -> set[str]:
    """Return the ids of what apps that failed, or have no image yet, brought along before."""
    apps = [*apps]
    sound = {app.id for app in runnable(apps)}
    untold = {app.id for app in apps if isinstance(app, App)} - sound
    return brought_along(untold, {app.id for app in apps}, workloads)


def _images(obj: Object) -> set[str]:
    """Return the images of a version, by the workload that has its pods."""
    return {*_own_images(obj), *extra_images(obj)}


def _own_images(obj: Object) -> set[str]:
    """Return the images of the containers of a workload's pods."""
    pod = template_of(obj)["spec"]
    return {each["image"] for each in (*pod.get("initContainers", []), *pod["containers"])}

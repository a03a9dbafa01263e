"""Which images are needed: of each app the one to run, the one before, and what pods have now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from slipway.apps.app import App, Record
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

    def retained(self, apps: Collection[App]) -> list[str]:
        """Return the references of the images that stay, sorted.

        Of an app these are the image of its record and the newest other one that it ran, and every
        image that its pods still have. An app that failed, or has no image yet, keeps all that its
        ReplicaSets name: which of them is good is not known. Apps without a record keep nothing.
        """
        templates: Mapping[str, list[set[str]]] = defaultdict(list)
        for obj in (*self.deployments, *self.replica_sets):
            templates[owner_of(obj)].append(_images(obj))
        kept: set[str] = set()
        for app in apps:
            image, ran = app.get("image"), templates[app["id"]]
            if image and "failed" not in app:
                before = (images for images in ran if image not in images)
                kept |= {image} | next(before, set())
            else:
                kept |= {image} if image else set()
                kept.update(*ran)
        return sorted(kept | {each["image"] for each in serving(apps, self.replica_sets)})


def serving(apps: Iterable[App], replica_sets: Iterable[Object]) -> list[Record]:
    """Return the ``image`` that pods of the apps have now, and the ``node_selector`` of those pods.

    That is another one than the record's for an app that failed, or was rolled back.
    """
    ids = {app["id"] for app in apps}
    return [
        {"image": image, "node_selector": template_of(replica_set)["spec"].get("nodeSelector", {})}
        for replica_set in replica_sets
        if owner_of(replica_set) in ids and replica_set.get("status", {}).get("replicas")
        for image in sorted(_images(replica_set))
    ]


def _images(obj: Object) -> set[str]:
    """Return the images of the containers of a workload's pods."""
    pod = template_of(obj)["spec"]
    return {each["image"] for each in (*pod.get("initContainers", []), *pod["containers"])}

"""The claims of an app's volumes, and how its pods have them.

A claim is not a part of a version, as what runs is: it stays as long as the environment does, also
when apps.yml does not name it any more, and longer if it is to be kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from slipway.apps.app import App, Volume
from slipway.apps.manifests.labels import APP, AWAITS, KEEP, NAME, is_own, named, part_metadata
from slipway.errors import Problem, SlipwayError
from slipway.kube.claims import claims_of
from slipway.kube.client import VOLUME_CLAIMS, Object
from slipway.kube.objects import HASH, Key, key_of, of_kind, sealed
from slipway.kube.workloads import QUOTA

ONE_NODE = "ReadWriteOnce"
"""What every provisioner has: a volume that pods of one node have at a time."""


def claims(app: App) -> Iterator[Object]:
    """The claims of an app's volumes."""
    for name, volume in sorted(app.volumes.items()):
        noted = {KEEP: "true"} if volume.keep else {}
        if volume.origin and volume.origin.branch != app.git_branch:
            noted[AWAITS] = volume.origin.branch
        yield of_kind(VOLUME_CLAIMS, part_metadata(app, name, **noted), _spec(volume))


def _spec(volume: Volume) -> dict[str, Any]:
    spec = {"accessModes": [ONE_NODE], "resources": {"requests": {"storage": volume.size}}}
    return {**spec, **({"storageClassName": c} if (c := volume.storage_class) else {})}


def mounts(app: App) -> list[dict[str, Any]]:
    """Where a container of the app has its volumes."""
    return [{"name": _in_pod(name), "mountPath": v.path} for name, v in sorted(app.volumes.items())]


def sources(app: App) -> list[dict[str, Any]]:
    """The volumes of a pod of the app, by their claims."""
    return [
        {"name": _in_pod(name), "persistentVolumeClaim": {"claimName": named(app, name)}}
        for name in sorted(app.volumes)
    ]


def alone(spec: Object) -> Object:
    """The spec of a Deployment, with one pod at a time where its pods have volumes.

    A second one would write to what the first one still has.
    """
    if not claims_of(spec["template"]):
        return spec
    return {**spec, "replicas": 1, "strategy": {"type": "Recreate"}}


def _in_pod(name: str) -> str:
    return f"volume-{name}"


def is_claim(obj: Object) -> bool:
    """Whether an object is the claim of a volume of an app's own."""
    return bool(obj["kind"] == VOLUME_CLAIMS.kind and is_own(obj))


def is_kept(claim: Object) -> bool:
    """Whether a claim stays when its app goes."""
    return (claim["metadata"].get("annotations") or {}).get(KEEP) == "true"


def awaited(claim: Object) -> str:
    """The branch whose data the volume of a claim is yet to get; empty if of none."""
    return (
        str((claim["metadata"].get("annotations") or {}).get(AWAITS, "")) if is_claim(claim) else ""
    )


def filled(claim: Object) -> Object:
    """A claim that awaits no data any more."""
    metadata = {key: value for key, value in claim["metadata"].items() if key != "annotations"}
    noted = claim["metadata"]["annotations"].items()
    if left := {key: value for key, value in noted if key not in (AWAITS, HASH)}:
        metadata["annotations"] = left
    return sealed({**claim, "metadata": metadata})


def begun(objects: Iterable[Object], live: Mapping[Key, Object]) -> list[Object]:
    """An app's objects as rendered, except that claims which are there await no more than they do.

    So data is copied once: a volume that was used is never filled again.
    """
    return [
        filled(obj)
        if awaited(obj) and (found := live.get(key_of(obj))) and not awaited(found)
        else obj
        for obj in objects
    ]


def volume_of(claim: Object) -> str:
    """The name of the volume that a claim is for; its own, if somebody copied it from another."""
    metadata = claim["metadata"]
    labels, name = metadata["labels"], str(metadata["name"])
    is_its_own = APP in labels and labels.get(NAME) == name
    return name.removeprefix(f"{labels[APP]}-") if is_its_own else name


def refusal(claim: Object, reason: str, *, is_new: bool) -> SlipwayError:
    """What there is to say of a claim that the API did not take."""
    fix = (
        "a volume stays as it was made: write what it was, or save its data (make data-save), "
        "write a volume of another name, and load it there (make data-load)"
    )
    if is_new:
        fix = "raise quota in apps.yml, or write a smaller size" if QUOTA in reason else ""
    return SlipwayError(Problem(f"volume {volume_of(claim)}", reason, fix))

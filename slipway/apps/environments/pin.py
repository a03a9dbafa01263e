"""What was rolled back stays so until there is something new to run.

A Deployment that was rolled back says from which pod, by its hash. As long as the app
gives that same pod, the Deployment keeps the template that it was rolled back to. The hash of the
whole object stays that of the version it came from, so anything else is applied, without the hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.apps.manifests.certificates import showing, version_in
from slipway.apps.manifests.labels import BRANCH, COMMIT, HELD_FROM, pod_hash
from slipway.apps.manifests.scaling import is_autoscaler, target_of
from slipway.apps.manifests.volumes import alone
from slipway.kube.claims import claims_of
from slipway.kube.client import DEPLOYMENTS, Object
from slipway.kube.objects import Key, key_of
from slipway.kube.workloads import template_of

OF_THE_VERSION = (BRANCH, COMMIT)
"""The annotations that tell where the version that runs comes from."""


def held(objects: Iterable[Object], live: Mapping[Key, Object]) -> list[Object]:
    """Return an app's objects as rendered, except that held Deployments keep their version.

    Its processes are held together with its own Deployment: something new to run of one of them
    ends that for all. What would have several pods share the volume of a held version is left out.
    """
    objects = list(objects)
    found = {
        key_of(obj): live.get(key_of(obj)) for obj in objects if obj["kind"] == DEPLOYMENTS.kind
    }
    if not all(_stays(obj, found[key_of(obj)]) for obj in objects if key_of(obj) in found):
        return objects
    single = {key for key, there in found.items() if there and claims_of(template_of(there))}
    return [
        _as_held(obj, there) if (there := found.get(key_of(obj))) else obj
        for obj in objects
        if not (is_autoscaler(obj) and target_of(obj) in single)
    ]


def _stays(obj: Object, found: Object | None) -> bool:
    """Whether a Deployment, as it is found, was rolled back from what is rendered again."""
    return bool(held_from(found)) and pod_hash(template_of(obj)) == held_from(found)


def is_held(obj: Object) -> bool:
    """Return whether this is a Deployment that was rolled back, live or as it is to be applied."""
    return obj["kind"] == DEPLOYMENTS.kind and bool(held_from(obj))


def held_from(obj: Object | None) -> str:
    """Return the hash of the pod that an object was rolled back from, or none if it was not."""
    annotations = (obj or {}).get("metadata", {}).get("annotations") or {}
    return str(annotations.get(HELD_FROM, ""))


def _as_held(rendered: Object, found: Object) -> Object:
    """Return the rendered Deployment with the version of the one that was found.

    Its certificate is of no version: it is renewed all the same.
    """
    kept = {
        key: value
        for key, value in found["metadata"]["annotations"].items()
        if key in (*OF_THE_VERSION, HELD_FROM)
    }
    metadata, version = rendered["metadata"], version_in(template_of(rendered))
    spec = {**rendered["spec"], "template": showing(template_of(found), version)}
    return {
        **rendered,
        "metadata": {**metadata, "annotations": {**metadata["annotations"], **kept}},
        "spec": alone(spec),
    }

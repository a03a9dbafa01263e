"""The claims of pods, and what they lack where a pod gets no volume."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.kube.client import STORAGE_CLASSES, VOLUME_CLAIMS, Kube, Object
from slipway.kube.workloads import Trouble, joined, warned

DEFAULT = "storageclass.kubernetes.io/is-default-class"
"""The annotation of the StorageClass that a claim gets which names none."""

REFUSED = "ProvisioningFailed"
"""What a provisioner says, and goes on saying, when it makes no volume for a claim."""

REFUSALS = 2
"""How often it says so until that is final: once may be an answer that came late."""


def claims_of(pod: Object) -> list[str]:
    """The names of the claims whose volumes a pod, or the template of one, has."""
    claims = [each.get("persistentVolumeClaim") for each in pod["spec"].get("volumes") or ()]
    return [claim["claimName"] for claim in claims if claim]


def unbound(kube: Kube, pod: Object) -> Iterator[Trouble]:
    """What is wrong with each claim of a pod that has no volume.

    It is final where nothing is there to make one. A volume that somebody made beforehand is bound
    within seconds, so it is for the caller to have waited that long.
    """
    for name in claims_of(pod):
        claim = kube.get(VOLUME_CLAIMS, name, pod["metadata"]["namespace"])
        if claim is None:
            yield Trouble(f"there is no claim {name}: bring it among the manifests", final=True)
        elif claim.get("status", {}).get("phase") != "Bound":
            reason, final = _reason(kube, claim)
            yield Trouble(joined(f"claim {name} is not bound", reason), final)


def _reason(kube: Kube, claim: Object) -> tuple[str, bool]:
    """Why a claim has no volume, and whether that is final."""
    if claim.get("status", {}).get("phase") == "Lost":
        return "its volume is gone", True
    classes = {each["metadata"]["name"]: each for each in kube.list(STORAGE_CLASSES).items}
    there = f"the cluster has {', '.join(sorted(classes)) or 'none'}"
    wanted = claim["spec"].get("storageClassName")
    if wanted and wanted not in classes:
        return f"there is no StorageClass {wanted}, and no volume of it; {there}", True
    if not wanted and (wanted == "" or not any(map(_is_default, classes.values()))):
        return f"it names no StorageClass, none is the default, and no volume fits; {there}", True
    events = warned(kube, claim)
    refusals = sum(each.get("count") or 1 for each in events if each.get("reason") == REFUSED)
    last = [joined(each.get("reason"), each.get("message")) for each in events[-1:]]
    return "".join(last), refusals >= REFUSALS


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return bool(annotations.get(DEFAULT) == "true")

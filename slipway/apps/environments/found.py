"""The environments of patterns in the cluster: which there are, and the marks of those that go.

A namespace is marked with the time at which a run first missed the branch; from then on its grace
runs. A branch that comes back clears the mark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from slipway.apps.app import RESTRICTED, App
from slipway.apps.environments.resolve import Existing, Leaving
from slipway.apps.manifests.environment import POD_SECURITY, level_of, namespace
from slipway.apps.manifests.labels import (
    ADMITS,
    BRANCH,
    GONE_SINCE,
    KEEP,
    OWN_SELECTOR,
    PATTERN,
    is_app,
    is_own,
    owner_of,
)
from slipway.apps.names import reserved
from slipway.kube.client import DEPLOYMENTS, NAMESPACES, Kube, Object
from slipway.kube.namespaces import usable

_LEVELS = ("privileged", "baseline", RESTRICTED)
"""The Pod Security Standards, the strictest last."""


def existing(kube: Kube) -> list[Existing]:
    """The environments of all patterns, sorted by their ids; two list calls."""
    spaces = {each["metadata"]["name"]: each for each in kube.list(NAMESPACES).items}
    found = [
        _environment(deployment, spaces[deployment["metadata"]["namespace"]])
        for deployment in kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items
        if is_app(deployment)
        and PATTERN in deployment["metadata"]["labels"]
        and usable(spaces.get(deployment["metadata"]["namespace"]))
    ]
    return sorted(found, key=lambda each: each.id)


def refusal(name: str, found: Object | None, level: str = RESTRICTED) -> str:
    """Why an app may not be put into a namespace, by what there is of that name; empty if it may.

    Who is in a namespace can mount all Secrets there. One that somebody else made has to hold its
    pods to the Pod Security Standard ``level`` itself.
    """
    if why := reserved(name):
        return f"namespace {name} {why}: give the app a namespace of its own"
    if found is None or not usable(found) or is_own(found):
        return ""
    if (found["metadata"].get("labels") or {}).get(ADMITS) == "true":
        if level_of(found) in _LEVELS[_LEVELS.index(level) :]:
            return ""
        return (
            f"namespace {name} does not hold its pods to pod_security: {level}: "
            f"kubectl label namespace {name} {POD_SECURITY}enforce={level}"
        )
    return (
        f"namespace {name} exists and was not made by Slipway: give the app a namespace of its "
        f"own, or, if apps may have what is there, kubectl label namespace {name} {ADMITS}=true "
        f"{POD_SECURITY}enforce={level}"
    )


def _environment(deployment: Object, space: Object) -> Existing:
    metadata = deployment["metadata"]
    labels = space["metadata"].get("labels") or {}
    annotations = space["metadata"].get("annotations") or {}
    app_id = owner_of(deployment)
    return Existing(
        id=app_id,
        pattern=metadata["labels"][PATTERN],
        namespace=metadata["namespace"],
        name=app_id.partition("/")[2],
        git_branch=metadata["annotations"][BRANCH],
        gone_since=_moment(annotations.get(GONE_SINCE, "")),
        kept="true" in (labels.get(KEEP), annotations.get(KEEP)),
    )


def _moment(text: str) -> datetime | None:
    """The time that a mark tells; one that somebody made unreadable begins anew."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def marks(
    namespaces: Mapping[str, Object], apps: Iterable[App], leaving: Collection[Leaving]
) -> list[Object]:
    """The namespaces whose mark is not as it should be, as they are to be applied.

    Where a repository does not answer, a mark stays as it is.
    """
    since = {left.namespace: left.since for left in leaving if left.since}
    cleared = {app.namespace for app in apps if not app.failed}
    cleared |= {left.namespace for left in leaving}
    wrong = []
    for name in sorted(since.keys() | cleared):
        found = namespaces.get(name)
        if found is None or not usable(found):
            continue
        mark = (found["metadata"].get("annotations") or {}).get(GONE_SINCE)
        if mark != since.get(name):
            wrong.append(_marked(found, since.get(name)))
    return wrong


def _marked(found: Object, since: str | None) -> Object:
    """A namespace with a mark or without; of somebody else's, nothing but the mark is claimed."""
    name = found["metadata"]["name"]
    obj: Object = (
        namespace(name, level_of(found) or RESTRICTED)
        if is_own(found)
        else {
            "apiVersion": NAMESPACES.api_version,
            "kind": NAMESPACES.kind,
            "metadata": {"name": name},
        }
    )
    if since is None:
        return obj
    metadata: Object = obj["metadata"]
    annotations = {**metadata.get("annotations", {}), GONE_SINCE: since}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}

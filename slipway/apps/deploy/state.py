"""What of Slipway's is in the cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from slipway.apps.manifests.extras import Kind, extra_key, kind_of, kinds_noted
from slipway.apps.manifests.labels import EXTRA_SELECTOR, OWN_SELECTOR, is_extra, is_own
from slipway.kube.client import APPLIED, INGRESSES, NAMESPACES, ApiError, Kube, Object
from slipway.kube.namespaces import usable
from slipway.kube.objects import Key, by_key, key_of


@dataclass(frozen=True)
class State:
    """What of Slipway's is in the cluster, and every namespace there is."""

    namespaces: Mapping[str, Object]
    objects: Mapping[Key, Object]
    extras: Mapping[Key, Object] = field(default_factory=dict)
    """What comes from manifests and charts; its kinds have their group's name."""
    unread: Collection[str] = ()
    """Lines that say which kinds of extras could not be listed, and why."""

    def find(self, obj: Object) -> Object | None:
        """What there is of an object's name, of those of apps or of their extras."""
        found = self.extras if is_extra(obj) else self.objects
        return found.get(extra_key(obj) if is_extra(obj) else key_of(obj))


def read_state(kube: Kube, extras: Iterable[Object] = ()) -> State:
    """Read all that the decision needs; what is being deleted counts as gone.

    Extras are looked for among the kinds of the given ones, which are those wanted, and those
    that earlier runs noted.
    """
    namespaces = {item["metadata"]["name"]: item for item in kube.list(NAMESPACES).items}
    # Whatever has a path of a host may be in the way of an app, and is looked at.
    ingresses = kube.list(INGRESSES).items
    listed = [
        obj
        for resource in APPLIED
        if resource not in (NAMESPACES, INGRESSES)
        for obj in kube.list(resource, labels=OWN_SELECTOR).items
    ]
    listed += filter(is_own, ingresses)
    # One version of a kind will do, and the wanted one can be compared.
    versions = {_group(kind): kind for kind in kinds_noted(listed)}
    versions |= {_group(kind): kind for kind in map(kind_of, extras)}
    found = [obj for obj in ingresses if is_extra(obj)]
    versions.pop(_group((INGRESSES.api_version, INGRESSES.kind)), None)
    unread = []
    for group in sorted(versions):
        try:
            resource = kube.find(*versions[group])
            if resource:  # its definition may have been deleted, or be yet to come
                found += kube.list(resource, labels=EXTRA_SELECTOR).items
        except ApiError as error:  # as of a kind that cannot be listed, or whose server is down
            unread.append(f"{' '.join(versions[group])}: {error}")

    def there(obj: Object) -> bool:
        space = obj["metadata"].get("namespace")
        leaving = "deletionTimestamp" in obj["metadata"]
        return not leaving and (not space or usable(namespaces.get(space)))

    return State(
        namespaces,
        by_key(filter(there, listed)),
        {extra_key(obj): obj for obj in filter(there, found)},
        unread,
    )


def _group(kind: Kind) -> tuple[str, str]:
    """A kind without its version."""
    return kind[0].rpartition("/")[0], kind[1]

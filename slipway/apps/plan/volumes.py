"""What apps keep beyond their pods: where, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.apps.app import App
from slipway.apps.manifests.labels import named
from slipway.apps.plan.branches import is_pattern, matches
from slipway.apps.plan.places import Finding, Places, nearest, plain
from slipway.apps.plan.reach import Branches
from slipway.apps.plan.yaml_lines import Place
from slipway.kube.objects import amount

_SETTING = "volumes"

_LARGEST = 2**63 - 1
"""How many bytes Kubernetes counts to."""

LONGEST_NAME = 63
"""How long the name of an app with that of a volume may be, which a label of the claim has."""


def mistakes(places: Places, app: Mapping[str, Any], known: Branches) -> Iterator[Finding]:
    """Names and sizes that no claim has, branches that there are not, and pods with one volume."""
    volumes = settings_of(app)
    for name, volume in volumes.items():
        yield from _claim_mistakes(places, app["name"], name, volume)
        if "from" in volume:
            setting: Place = (_SETTING, name, "from", "branch")
            yield from _origin_mistakes(places, setting, app["name"], volume["from"], known)
    replicas = app.get("replicas", 1)
    most = replicas["max"] if isinstance(replicas, Mapping) else replicas
    if volumes and most > 1:
        what = f"has {most} pods share a volume, which is for one node at a time"
        yield places.finding(("replicas",), what, "write 1, or keep the data in a service")


def _claim_mistakes(
    places: Places, app: str, name: str, volume: Mapping[str, Any]
) -> Iterator[Finding]:
    """What the API would refuse of the claim of an app's volume."""
    whole = f"{app}-{name}"
    if len(whole) > LONGEST_NAME:
        what = f"has {len(whole)} characters as {whole}, and may have {LONGEST_NAME}"
        yield places.finding((_SETTING, name), what, "give it a shorter name")
    bytes_ = amount(volume.get("size", "1"))
    if bytes_ is None or not 1 <= bytes_ <= _LARGEST or bytes_ % 1:
        what = f"is {volume['size']:.40}, which is no whole number of bytes from 1 to {_LARGEST:,}"
        yield places.finding((_SETTING, name, "size"), what, "write 1Gi, for example")


def _origin_mistakes(
    places: Places, setting: Place, app: str, origin: Mapping[str, Any], known: Branches
) -> Iterator[Finding]:
    """Branches whose data no volume can begin with."""
    branch, own = origin["branch"], known.get(app, ())
    if is_pattern(branch):
        what = f"{branch} stands for any number of branches"
        yield places.finding(setting, what, "name one branch")
    elif not any(matches(each, branch) for each in own):
        what = f"{app} has no entry for the branch {branch}"
        yield places.finding(setting, what, nearest(branch, own))


def settings_of(app: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The setting of an App."""
    found = plain(app.get(_SETTING, {}))
    return {name: _volume(given) for name, given in found.items()}


def _volume(given: Any) -> dict[str, Any]:
    volume = plain(given) if isinstance(given, Mapping) else {"path": given}
    if "size" in volume:
        volume["size"] = str(volume["size"])
    if "from" in volume:
        volume["from"] = plain(volume["from"])
    return volume


def taken(app: App) -> Iterator[tuple[Place, str]]:
    """The claims of an app, which no other app of the namespace can have."""
    for name in app.volumes:
        yield (_SETTING, name), f"the claim {named(app, name)} in namespace {app.namespace}"

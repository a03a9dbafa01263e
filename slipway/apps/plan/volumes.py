"""What apps keep beyond their pods: where, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.apps.app import App
from slipway.apps.manifests.labels import named
from slipway.apps.plan.branches import matches
from slipway.apps.plan.places import Finding, Places, nearest, plain
from slipway.apps.plan.reach import Branches
from slipway.apps.plan.yaml_lines import Place

_SETTING = "volumes"


def mistakes(places: Places, app: Mapping[str, Any], known: Branches) -> Iterator[Finding]:
    """Branches that there are not, and pods with one volume."""
    volumes = settings_of(app)
    for name, volume in volumes.items():
        branch, own = volume.get("from", {}).get("branch"), known.get(app["name"], ())
        if branch and not any(matches(each, branch) for each in own):
            what = f"{app['name']} has no entry for the branch {branch}"
            yield places.finding((_SETTING, name, "from", "branch"), what, nearest(branch, own))
    replicas = app.get("replicas", 1)
    most = replicas["max"] if isinstance(replicas, Mapping) else replicas
    if volumes and most > 1:
        what = f"has {most} pods share a volume, which is for one node at a time"
        yield places.finding(("replicas",), what, "write 1, or keep the data in a service")


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

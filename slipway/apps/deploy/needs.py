"""Which apps have to run before others are deployed."""

from __future__ import annotations

from collections.abc import Collection

from slipway.apps.app import App
from slipway.apps.manifests.network import reached
from slipway.kube.objects import grouped


def needed(app: App, apps: Collection[App]) -> list[App]:
    """What has to run before an app does; what there is not is no reason to wait."""
    return [found for entry in app.needs if (found := reached(app, entry, apps))]


def waves(apps: Collection[App]) -> list[list[App]]:
    """The apps, those first that others need; each wave needs nothing but what is before it."""
    depths: dict[str, int] = {}

    def depth(app: App) -> int:
        if app.id not in depths:
            depths[app.id] = max((depth(each) + 1 for each in needed(app, apps)), default=0)
        return depths[app.id]

    by_depth = grouped(apps, depth)
    return [by_depth[each] for each in sorted(by_depth)]

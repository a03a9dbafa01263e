"""Apps on nodes of several processors: an image for each kind of node, under one reference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass

from slipway.apps.app import App, Built, images_of
from slipway.apps.placement import ARCHITECTURE
from slipway.architecture import Architecture
from slipway.oci import ImageStore


@dataclass(frozen=True)
class Images:
    """The apps, each with its image or with why not.

    ``built`` are the images that were made, ``pending`` the ids of the apps that a check would
    have built.
    """

    apps: list[App]
    built: list[str]
    pending: list[str]


@dataclass(frozen=True)
class Kinds:
    """The kinds of nodes that there are, each with an image store of its own.

    ``nodes`` has the architecture of each by its name, ``build`` has the images for one of them,
    and ``say`` shows what has to be known. A ``check`` changes nothing.
    """

    nodes: Mapping[str, Architecture]
    stores: Mapping[Architecture, ImageStore]
    build: Callable[[Architecture, list[App]], Images]
    say: Callable[[str], None]
    check: bool = False

    def images(self, apps: Sequence[App]) -> Images:
        """The apps with an image for every kind of node that their pods may be put on.

        What cannot be built for a kind runs on the other nodes alone, which is said; an app that
        cannot be built for any fails.
        """
        before = {kind: {*store.images()} for kind, store in self.stores.items()}
        found = {
            kind: self.build(kind, [copy(app) for app in apps if kind in self._kinds_for(app)])
            for kind in self.stores
        }
        outcomes: dict[str, dict[Architecture, App]] = {app.id: {} for app in apps}
        for kind, images in found.items():
            for app in images.apps:
                outcomes[app.id][kind] = app
        made = [self._merged(outcomes[app.id]) for app in apps]
        for kind, images in found.items():
            self._forget(kind, images_of(images.apps) - images_of(made) - before[kind])
        built = {ref for images in found.values() for ref in images.built}
        return Images(
            apps=made,
            built=sorted(
                app.image
                for app in made
                if isinstance(app, Built) and images_of(outcomes[app.id].values()) & built
            ),
            pending=[
                app.id for app in made if any(app.id in each.pending for each in found.values())
            ],
        )

    def _kinds_for(self, app: App) -> Sequence[Architecture]:
        """The kinds of nodes that an app's pods may be put on, or all if there are none."""
        named = app.node_selector.get(ARCHITECTURE)
        return [kind for kind in self.stores if kind == named] or [*self.stores]

    def _merged(self, outcomes: Mapping[Architecture, App]) -> App:
        """One app of what came of it for each kind."""
        built = {
            kind: app for kind, app in outcomes.items() if isinstance(app, Built) and not app.failed
        }
        open_ = [app for app in outcomes.values() if not app.failed and not isinstance(app, Built)]
        if open_ or not built:
            return next(iter([*open_, *outcomes.values()]))
        first = copy(next(iter(built.values())))
        for kind, app in outcomes.items():
            if app.failed:
                self._tell(app, kind)
                first.node_selector = {**first.node_selector, ARCHITECTURE: next(iter(built)).value}
        first.image = self._named_alike(built)
        return first

    def _tell(self, app: App, kind: Architecture) -> None:
        """Say where an app does not run, and why."""
        where = ", ".join(name for name, each in self.nodes.items() if each is kind)
        why = app.failed.reason if app.failed else ""
        self.say(f"{app.label}: has no image for {kind}, so it does not run on {where}: {why}")

    def _named_alike(self, built: Mapping[Architecture, Built]) -> str:
        """The reference of an app's images in all stores; another content, another tag."""
        refs = sorted({app.image for app in built.values()})
        if len(refs) == 1:
            return refs[0]
        (app, *_others) = built.values()
        tag = hashlib.sha256(" ".join(refs).encode()).hexdigest()[:12]
        ref = f"{app.image.rpartition(':')[0]}:{app.branch_slug}-{tag}"
        if not self.check:
            for kind, each in built.items():
                self.stores[kind].name(each.image, ref)
        return ref

    def _forget(self, kind: Architecture, refs: Set[str]) -> None:
        """Take references off a store's list that only this run knows."""
        if refs and not self.check:
            self.stores[kind].remove(*refs)

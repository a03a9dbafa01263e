"""From manifests and charts to the images that their pods need, which nodes get from this machine.

What is named there is fetched as the image of an app is that is of an image alone: once, with the
app's logins, and for each kind of node. To find out what is named, manifests are filled in and
charts rendered; a note in the cache tells what was found, so that a run with nothing to do reads no
more than that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from slipway.apps.app import App, Built, CarriedImage, ImageBuild, Sourced, advanced
from slipway.apps.boundary import failing, tried
from slipway.apps.builders.architectures import Images
from slipway.apps.builders.bases import file_identity
from slipway.apps.builders.build import STEP, Settings, build_images
from slipway.apps.builders.logins import registry_of
from slipway.apps.builders.reference import full, named_by
from slipway.apps.deploy.content import named_images
from slipway.apps.deploy.helm import Helm
from slipway.apps.manifests.images import Use
from slipway.apps.names import image_repository
from slipway.apps.placement import ARCHITECTURE
from slipway.apps.templates import variables_of
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.files import write_whole
from slipway.kube.objects import grouped

RECIPE = "images 1"
"""Changes whenever other images would be found in the same manifests and charts."""

MOST = 50
"""How many images the manifests and charts of an app may name: each takes room on nodes."""

WORKERS = 8
"""How many apps are looked through at the same time."""


@dataclass(frozen=True)
class Finder:
    """Finds out what the manifests and charts of apps name as images.

    ``helm`` renders charts. What is found is noted in the ``cache``, but not by a ``check``.
    """

    cache: CacheLayout
    helm: Helm
    check: bool = False

    def uses(self, app: App) -> list[Use]:
        """Where an app's manifests and charts name images that are to be carried to nodes.

        Nothing of an app that failed, or whose source is not there yet. What cannot be read is
        left to the deployment, which says all that is wrong.
        """
        if app.failed or not isinstance(app, Sourced) or not (app.manifests or app.helm):
            return []
        found = tried(self._noted_uses, app)
        return [] if isinstance(found, str) else found

    def _noted_uses(self, app: Sourced) -> list[Use]:
        path = self.cache.named_images_note(self._key(app))
        try:
            return msgspec.json.decode(path.read_bytes(), type=list[Use])
        except (OSError, msgspec.MsgspecError):
            pass
        found = named_images(_standing_in(app), self.helm)
        if found is None:
            return []
        if not self.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, msgspec.json.encode(found).decode())
        return found

    def _key(self, app: Sourced) -> str:
        """What tells whether the same would be found; SlipwayError for a file that is not there."""
        entries = [*app.manifests, *app.helm]
        made_of = {
            "recipe": RECIPE,
            "entries": msgspec.to_builtins(entries),
            "variables": variables_of(app),
            "source": [app.checkout, app.project] if any(e.source for e in entries) else None,
            "files": [file_identity(Path(e.file), app.label) for e in entries if e.file],
            "helm": [str(self.helm.program), self.helm.kube_version] if app.helm else None,
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _standing_in(app: Sourced) -> Built:
    """The app as if it had its image, whose reference none of its pods gets from a registry."""
    return advanced(app, Built, image=f"{image_repository(app.name)}:{app.branch_slug}-{'0' * 12}")


def build_all(
    apps: Iterable[App],
    settings: Settings,
    finder: Finder,
    *,
    check: bool,
    say: Callable[[str], None],
) -> Images:
    """As :func:`build_images`, with the images that manifests and charts name.

    Where one of those cannot be had, the apps that name it fail.
    """
    apps = [*apps]
    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(finder.uses, apps))
    wanted = {app.id: _Wanted(app, uses) for app, uses in zip(apps, found, strict=True) if uses}
    boundary = failing(STEP, settings.secrets.redact)
    for each in wanted.values():
        boundary.run([each.app], each.name_all)
    fetched = {app.id: app for each in wanted.values() for app in each.fetches.values()}
    images = build_images([*apps, *fetched.values()], settings, check=check, say=say)
    outcomes = {app.id: app for app in images.apps}
    for app_id, each in wanted.items():
        app = outcomes[app_id]
        if isinstance(app, Built) and not app.failed:
            boundary.run([app], each.give, app, outcomes)
    waiting = {*images.pending}
    return Images(
        apps=[outcomes[app.id] for app in apps],
        built=images.built,
        pending=[
            app.id
            for app in apps
            if app.id in waiting
            or (app.id in wanted and not waiting.isdisjoint(wanted[app.id].ids))
        ],
    )


@dataclass
class _Wanted:
    """What an app's manifests and charts name."""

    app: App
    uses: Sequence[Use]
    fetches: dict[str, Sourced] = field(default_factory=dict)
    """By what is named, the app of an image that stands for it; several may share one."""

    @property
    def ids(self) -> set[str]:
        """The ids of those that stand for images."""
        return {fetch.id for fetch in self.fetches.values()}

    def name_all(self) -> None:
        """Have something to fetch for all that is named; SlipwayError for what nobody has."""
        named = grouped(self.uses, lambda use: use.named)
        refs = {each: full(each) for each in named}
        problems = [
            Problem(
                _where(uses),
                f"names {name[:100]!r}, which is no reference of an image",
                "write it with its tag or digest, for example docker.io/library/redis:8",
            )
            for name, uses in named.items()
            if not refs[name]
        ]
        if len(named) > MOST:
            what = f"names {len(named)} images in its manifests and charts, and may name {MOST}"
            problems.append(Problem(self.app.label, what, "write pull: nodes to one of them"))
        if problems:
            raise SlipwayError(problems)
        self.fetches = {name: _fetch(self.app, refs[name], uses) for name, uses in named.items()}

    def give(self, app: Built, outcomes: Mapping[str, App]) -> None:
        """Have an app know its images; SlipwayError for those that cannot be had."""
        problems: list[Problem] = []
        for name, uses in grouped(self.uses, lambda use: use.named).items():
            fetch = self.fetches[name]
            outcome = outcomes[fetch.id]
            if outcome.failed:
                problems.append(_refused(fetch, uses, outcome.failed.reason))
                continue
            image = outcome.image if isinstance(outcome, Built) else ""
            asked = fetch.node_selector.get(ARCHITECTURE, "")
            alone = outcome.node_selector.get(ARCHITECTURE, "") if not asked else ""
            for use in {_nodes_of(use): use for use in uses}.values():
                own = use.node_selector
                if alone and own.get(ARCHITECTURE, alone) != alone:
                    what = f"names {name}, which there is for {alone} alone"
                    problems.append(Problem(use.where, what, "name one for the nodes of its pods"))
                app.carried.append(
                    CarriedImage(
                        named=name,
                        image=image,
                        node_selector={**own, ARCHITECTURE: alone} if alone else own,
                        tolerant=use.tolerant,
                        architecture=alone,
                    )
                )
        if problems:
            raise SlipwayError(problems)


def _nodes_of(use: Use) -> tuple[object, ...]:
    """On which nodes the pods of a place may be."""
    return use.tolerant, *sorted(use.node_selector.items())


def _fetch(app: App, ref: str, uses: Iterable[Use]) -> Sourced:
    """The app of an image that stands for what an app names by a full reference.

    It is the same one for all who name it with the same login, for nodes of the same architecture.
    """
    registry = registry_of(ref)
    login = app.registry_auth.get(registry)
    architectures = {use.node_selector.get(ARCHITECTURE, "") for use in uses}
    architecture = architectures.pop() if len(architectures) == 1 else ""
    name, version = named_by(ref)
    who = f"{login.user}:{login.password}" if login else ""
    return Sourced(
        id=f"{who}@{ref} {architecture}",
        name=name,
        namespace="",
        git_url="",
        git_branch=version,
        branch_slug=version,
        build=ImageBuild(ref=ref),
        registry_auth={registry: login} if login else {},
        node_selector={ARCHITECTURE: architecture} if architecture else {},
        port=0,
        replicas=0,
        commit="",
        tree="",
        checkout="",
        project=".",
        whole=True,
    )


def _refused(fetch: Sourced, uses: Sequence[Use], reason: str) -> Problem:
    """That an image which is named cannot be fetched."""
    assert isinstance(fetch.build, ImageBuild)
    why = reason.removeprefix(f"{fetch.label}: ")
    registry = registry_of(fetch.build.ref)
    return Problem(
        _where(uses),
        f"names {uses[0].named}, which cannot be fetched: {why}",
        f"correct it, have registry_auth of the app say who asks {registry}, or leave it to the "
        "nodes (pull: nodes)",
    )


def _where(uses: Sequence[Use]) -> str:
    """The first place of several, and how many more there are."""
    more = f" (and {len(uses) - 1} more)" if len(uses) > 1 else ""
    return f"{uses[0].where}{more}"

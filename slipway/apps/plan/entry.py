"""An entry of apps.yml: its settings with the defaults, what is wrong with them, its app."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from slipway.apps.app import App, Owner
from slipway.apps.manifests.network import MAIN
from slipway.apps.names import namespace_of, reserved, slug
from slipway.apps.plan import (
    branches,
    certificate,
    mounts,
    passwords,
    rbac,
    reach,
    repository,
    routes,
    schema,
    service,
    services,
    source,
    volumes,
    workload,
)
from slipway.apps.plan.bounds import Bounds
from slipway.apps.plan.branches import Sample
from slipway.apps.plan.places import Finding, Places
from slipway.apps.plan.yaml_lines import Document
from slipway.apps.templates import ROUTE_VARIABLES, Unfilled, fill, is_template, mistake

STEP = "source"
"""What a failure to find out is noted under: the branches of a pattern, what repositories say."""

NOTHING_SAID: Mapping[str, Any] = MappingProxyType({})

_MERGED = (
    "branches",
    "env",
    "ingress",
    "jobs",
    "node_selector",
    "probes",
    "processes",
    "quota",
    "registry_auth",
    "resources",
    "security",
    "service",
    "volumes",
)
"""The settings of which an app and the defaults may each give a part."""

_OF_SOURCE = (
    "base_image",
    "branches",
    "build",
    "git_auth",
    "git_branch",
    "git_path",
    "git_submodules",
    "git_url",
    repository.KEY,
)
"""The defaults that are nothing to an app of an image, which has no source unless it says so."""


@dataclass(frozen=True)
class Context:
    """What apps are checked against: the file, its folder, hosts and branches, and known secrets.

    ``domain`` is what ``{{ domain }}`` stands for. ``passwords`` are those that apps have of their
    own. ``secrets`` are names, or a mapping that has them; None when they are not known, as where
    no vault is at hand.
    """

    document: Document
    folder: Path
    domain: str
    bounds: Bounds
    hosts: Mapping[str, Any]
    branches: reach.Branches
    passwords: passwords.Named
    secrets: Collection[str] | None


def merged(
    value: Mapping[str, Any], at: int, said: Mapping[str, Any] = NOTHING_SAID
) -> dict[str, Any]:
    """An app's settings over what its repository has ``said`` and the file's defaults, without the
    free ``x-`` keys.
    """
    defaults = value.get("defaults", {})
    app = value["apps"][at]
    settings = {**defaults, **said, **app}
    if "image" in app:
        own = app.keys() | said.keys()
        settings = {
            key: given for key, given in settings.items() if key in own or key not in _OF_SOURCE
        }
    for key in _MERGED:
        if key in settings:
            settings[key] = {**defaults.get(key, {}), **said.get(key, {}), **app.get(key, {})}
    if not _has_routes(settings, app, said):
        settings.pop("ingress", None)
    settings.setdefault("git_branch", schema.default("git_branch"))
    return {key: setting for key, setting in settings.items() if not key.startswith("x-")}


def _has_routes(
    settings: Mapping[str, Any], app: Mapping[str, Any], said: Mapping[str, Any]
) -> bool:
    """Whether an app is to have routes.

    A host for all apps is no route of one that has none, nor is one that apps.yml gives for what
    the repository may say.
    """
    is_open = settings.get(repository.KEY, False)
    return (
        "rules" in settings.get("ingress", {})
        or "ingress" in said
        or ("ingress" in app and not is_open)
    )


@dataclass(frozen=True)
class Entry:
    """A sound entry of the file, with the app of its branch, or of one that its pattern matches.

    It is ``told`` what its repository says.
    """

    places: Places
    settings: Mapping[str, Any]
    app: App
    told: bool = False

    @property
    def pattern(self) -> str | None:
        """Its git_branch, if that is a pattern."""
        return self.app.pattern

    @property
    def is_open(self) -> bool:
        """Whether its repository is asked for what it says."""
        return bool(self.settings.get(repository.KEY)) and not self.app.failed

    def sample(self, entries: Iterable[Entry]) -> Sample:
        """How the branches of its pattern are asked for: those with an entry of their own are not
        among them.
        """
        own = [each.app for each in entries if not each.pattern]
        named = [app.git_branch for app in own if app.name == self.app.name]
        return Sample(self.app, branches.rules(self.settings, named))


def entry_of(
    places: Places, settings: Mapping[str, Any], context: Context
) -> tuple[Entry | None, list[Finding]]:
    """One entry of the file and what is wrong with it; None if that is a lot."""
    mistakes = [*mistakes_of(places, settings, context), *branches.mistakes(places, settings)]
    if mistakes:
        return None, mistakes
    branch = settings["git_branch"]
    pattern = branch if branches.is_pattern(branch) else None
    branch = branches.sample(branch) if pattern else branch
    try:
        app = app_of(settings, branch, pattern, context)
        # Also those of routes that the repository may say.
        repository.hosts(ingress_of(context.document.value, places.at), app, context.domain)
    except Unfilled as error:
        return None, [unfilled(places, branch, error)]
    mistakes = [*rendered_mistakes(places, settings, app, context)]
    entry = Entry(places, settings, app)
    for each in services_of(entry, context, services.ENVIRONMENT, services.CLUSTER):
        mistakes += service_mistakes(each, context)
    return entry, mistakes


def mistakes_of(places: Places, settings: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """What is wrong with settings before their templates are filled in."""
    yield from _template_mistakes(places, settings)
    yield from source.mistakes(places, settings, context.secrets)
    yield from workload.mistakes(places, settings, context.folder, context.secrets, context.bounds)
    yield from rbac.mistakes(places, settings)
    yield from reach.mistakes(places, settings, context.branches)
    yield from passwords.mistakes(places, settings, context.passwords)
    yield from services.mistakes(places, settings, context.branches)
    yield from context.bounds.archive_mistakes(places, settings, context.folder)
    yield from routes.mistakes(places, settings)
    yield from service.mistakes(places, settings)
    yield from volumes.mistakes(places, settings, context.branches)
    yield from certificate.mistakes(places, settings)
    yield from mounts.mistakes(places, settings)


def service_mistakes(service_: Entry, context: Context) -> Iterator[Finding]:
    """What is wrong with a service that an app brings along."""
    places, settings = service_.places, service_.settings
    yield from workload.template_mistakes(places, settings)
    yield from workload.mistakes(places, settings, context.folder, context.secrets, context.bounds)
    yield from passwords.mistakes(places, settings, context.passwords)
    yield from service.mistakes(places, {**settings, "git_branch": service_.app.git_branch})
    yield from volumes.mistakes(places, settings, context.branches)
    yield from mounts.mistakes(places, settings)


def services_of(entry: Entry, context: Context, *scopes: str) -> Iterator[Entry]:
    """The services of these scopes that an app brings along, as apps of their own."""
    owner = entry.app
    for name, scope, settings in services.settings_of(entry.settings):
        if scope not in scopes:
            continue
        is_shared = scope == services.CLUSTER
        branch = MAIN if is_shared else owner.git_branch
        app = app_of(settings, branch, None if is_shared else owner.pattern, context)
        if not is_shared:
            app.owner = Owner(owner.name, owner.git_url)
            app.namespace = owner.namespace
            app.id = f"{app.namespace}/{app.name}"
            app.failed = owner.failed
        yield Entry(entry.places.below("services", name), settings, app, entry.told)


def with_services(
    entries: Iterable[Entry], environments: Iterable[Entry], context: Context
) -> list[Entry]:
    """The services of the entries that are for all, and each environment after its own."""
    shared: list[Entry] = []
    for each in (
        each for entry in entries for each in services_of(entry, context, services.CLUSTER)
    ):
        if (each.app.id, each.settings) not in [(one.app.id, one.settings) for one in shared]:
            shared.append(each)
    found = [
        each
        for entry in environments
        for each in (*services_of(entry, context, services.ENVIRONMENT), entry)
    ]
    return [*shared, *found]


def ingress_of(value: Mapping[str, Any], at: int) -> dict[str, Any]:
    """What the file says of the routes of an app, or of those that its repository may say."""
    defaults, app = value.get("defaults", {}), value["apps"][at]
    given = {**defaults.get("ingress", {}), **app.get("ingress", {})}
    is_open = app.get(repository.KEY, defaults.get(repository.KEY, False))
    return given if is_open or "rules" in given else {}


def app_of(settings: Mapping[str, Any], branch: str, pattern: str | None, context: Context) -> App:
    """The app that all later steps start from; ``settings`` are known to be sound."""
    name = settings["name"]
    variables = {"name": name, "branch": branch, "branch_slug": slug(branch)}
    namespace = fill(settings.get("namespace", ""), variables) or namespace_of(name, branch)
    variables |= {"namespace": namespace, "domain": context.domain}
    given = {
        "id": f"{namespace}/{name}",
        "name": name,
        "namespace": namespace,
        "git_branch": branch,
        "branch_slug": slug(branch),
        "pattern": pattern,
        **source.settings_of(settings, context.folder),
        **workload.settings_of(settings, context.folder),
        "needs": [{"app": each} for each in services.needs_of(settings)],
        "rbac": rbac.settings_of(settings),
        "reach": reach.settings_of(settings),
        "service": service.settings_of(settings),
        "volumes": volumes.settings_of(settings),
        "certificate": certificate.settings_of(settings, variables),
        "ingress": routes.settings_of(settings.get("ingress"), context.hosts, variables),
    }
    return msgspec.convert(given, App)


def unfilled(places: Places, branch: str, error: object) -> Finding:
    """A template that cannot be filled in with the name of a branch."""
    what = f"has a template that cannot be filled in for the branch {branch!r}: {error}"
    return places.finding((), what, "write one that any branch can fill in, or exclude this one")


def _template_mistakes(places: Places, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Templates of names that cannot be filled in."""
    if fault := mistake(settings.get("namespace", ""), ROUTE_VARIABLES[:3]):
        yield places.finding(("namespace",), *fault)
    yield from routes.template_mistakes(places, settings)
    yield from certificate.template_mistakes(places, settings)
    yield from workload.template_mistakes(places, settings)


def rendered_mistakes(
    places: Places, settings: Mapping[str, Any], app: App, context: Context
) -> Iterator[Finding]:
    """Names that are no longer right once their templates are filled in."""
    found: list[Finding] = []
    if is_template(settings.get("namespace")):
        found = [*schema.setting_mistakes(places, ("namespace",), app.namespace)]
        yield from found
    if not found and (why := reserved(app.namespace)):
        fix = "name one of the app's own, or leave it out"
        yield places.finding(("namespace",), f"{app.namespace} {why}", fix)
    yield from routes.rendered_mistakes(places, settings, app, context.domain, context.bounds)
    yield from certificate.rendered_mistakes(places, settings, app, context.bounds)

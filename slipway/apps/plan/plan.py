"""apps.yml as a list of apps: validated, defaults merged in, compared with one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import structs

from slipway.apps.app import App, GitAuth, Owner
from slipway.apps.boundary import tried
from slipway.apps.manifests.labels import named
from slipway.apps.manifests.network import MAIN
from slipway.apps.names import namespace_of, reserved, slug
from slipway.apps.plan import (
    branches,
    certificate,
    mounts,
    passwords,
    plaintext,
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
from slipway.apps.plan.branches import FindBranches, Matches, Sample
from slipway.apps.plan.places import Finding, Places
from slipway.apps.plan.yaml_lines import Document, Place, read
from slipway.apps.templates import ROUTE_VARIABLES, Unfilled, fill, is_template, mistake
from slipway.errors import SlipwayError

DOMAIN = "slipway.test"
"""What hosts are below of that say ``{{ domain }}``, where nothing else is said."""

NO_BOUNDS = Bounds()

STEP = "source"
"""What a failure to find out is noted under: the branches of a pattern, what repositories say."""

ReadSettings = Callable[[Sequence[App]], Sequence[repository.Said]]
"""What the repository of each of the apps says of it."""

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


def plan(
    path: Path,
    *,
    domain: str = DOMAIN,
    secrets: Collection[str] | None = None,
    find_branches: FindBranches | None = None,
    read_settings: ReadSettings | None = None,
    bounds: Bounds = NO_BOUNDS,
) -> list[App]:
    """The apps of the file at ``path``, in its order, one for each branch.

    ``domain`` is what ``{{ domain }}`` stands for in the names of hosts. An entry whose
    ``git_branch`` is a pattern gives an app for each branch that ``find_branches`` finds, and none
    without it. What repositories say of their apps is what ``read_settings`` reads, where the file
    lets them; without it, apps are as the file has them. ``secrets`` are the names that apps may
    use; as a mapping to the values, the certificates among them are checked too. ``bounds`` are
    what the operator leaves to the file.
    Raises SlipwayError with every mistake of the file.
    """
    document = read(path, schema.kind_of)
    found = [*document.problems, *schema.mistakes(document)]
    entries: list[_Entry] = []
    if all(place[:1] == ("apps",) and len(place) > 1 for place, _ in found):
        # The mistakes lie in single apps: the others can be compared with one another.
        unsound = {place[1] for place, _ in found}
        hosts = routes.hosts_of(document, domain)
        named = reach.branches_of(document.value)
        of_apps = passwords.named_in(document.value)
        folder = path.resolve().parent
        context = Context(document, folder, domain, bounds, hosts, named, of_apps, secrets)
        found += routes.host_mistakes(document, domain, secrets)
        for at in range(len(document.value["apps"])):
            if at in unsound:
                continue
            entry, mistakes = _entry(Places(document, at), _merged(document.value, at), context)
            found += mistakes
            entries += [entry] if entry else []
        every = _with_services(entries, entries, context)
        sound = [(each.places, each.app) for each in every]
        found += [finding for _, finding in _conflicts(sound)]
        found += _ring(entries)
    found = plaintext.mistakes(document, found)
    if found:
        found.sort(key=lambda each: document.line(each[0]))
        raise SlipwayError(dict.fromkeys(problem for _, problem in found))
    return _expanded(entries, context, find_branches, read_settings)


def _merged(
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
class _Entry:
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

    def sample(self, entries: Iterable[_Entry]) -> Sample:
        """How the branches of its pattern are asked for: those with an entry of their own are not
        among them.
        """
        own = [each.app for each in entries if not each.pattern]
        named = [app.git_branch for app in own if app.name == self.app.name]
        return Sample(self.app, branches.rules(self.settings, named))


def _entry(
    places: Places, settings: Mapping[str, Any], context: Context
) -> tuple[_Entry | None, list[Finding]]:
    """One entry of the file and what is wrong with it; None if that is a lot."""
    mistakes = [*_mistakes(places, settings, context), *branches.mistakes(places, settings)]
    if mistakes:
        return None, mistakes
    branch = settings["git_branch"]
    pattern = branch if branches.is_pattern(branch) else None
    branch = branches.sample(branch) if pattern else branch
    try:
        app = _app(settings, branch, pattern, context)
        # Also those of routes that the repository may say.
        repository.hosts(_ingress(context.document.value, places.at), app, context.domain)
    except Unfilled as error:
        return None, [_unfilled(places, branch, error)]
    mistakes = [*_rendered_mistakes(places, settings, app, context)]
    entry = _Entry(places, settings, app)
    for each in _services(entry, context, services.ENVIRONMENT, services.CLUSTER):
        mistakes += _service_mistakes(each, context)
    return entry, mistakes


def _mistakes(places: Places, settings: Mapping[str, Any], context: Context) -> Iterator[Finding]:
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


def _service_mistakes(service_: _Entry, context: Context) -> Iterator[Finding]:
    """What is wrong with a service that an app brings along."""
    places, settings = service_.places, service_.settings
    yield from workload.template_mistakes(places, settings)
    yield from workload.mistakes(places, settings, context.folder, context.secrets, context.bounds)
    yield from passwords.mistakes(places, settings, context.passwords)
    yield from service.mistakes(places, {**settings, "git_branch": service_.app.git_branch})
    yield from volumes.mistakes(places, settings, context.branches)
    yield from mounts.mistakes(places, settings)


def _services(entry: _Entry, context: Context, *scopes: str) -> Iterator[_Entry]:
    """The services of these scopes that an app brings along, as apps of their own."""
    owner = entry.app
    for name, scope, settings in services.settings_of(entry.settings):
        if scope not in scopes:
            continue
        is_shared = scope == services.CLUSTER
        branch = MAIN if is_shared else owner.git_branch
        app = _app(settings, branch, None if is_shared else owner.pattern, context)
        if not is_shared:
            app.owner = Owner(owner.name, owner.git_url)
            app.namespace = owner.namespace
            app.id = f"{app.namespace}/{app.name}"
            app.failed = owner.failed
        yield _Entry(entry.places.below("services", name), settings, app, entry.told)


def _expanded(
    entries: Sequence[_Entry],
    context: Context,
    find_branches: FindBranches | None,
    read_settings: ReadSettings | None,
) -> list[App]:
    """The apps of sound entries, one for each branch of a pattern.

    What only comes to light with the names of branches, or with what is on them, is the failure of
    that branch alone.
    """
    samples = [entry.sample(entries) for entry in entries if entry.pattern]
    found = find_branches(samples) if find_branches and samples else [Matches()] * len(samples)
    heads = {branches.source(s.app): each.heads for s, each in zip(samples, found, strict=True)}
    matches = iter(found)
    expanded: list[_Entry] = []
    for entry in entries:
        expanded += _environments(entry, next(matches), context) if entry.pattern else [entry]
    for app, (_, problem) in [*_intrusions(expanded)]:
        app.fail(STEP, str(problem))
        app.ingress = None  # or its routes would be others'
    _take_heads(expanded, heads)
    alone: list[_Entry] = []
    if read_settings:
        alone = _with_services((), [entry for entry in expanded if entry.is_open], context)
        expanded = _told(entries, expanded, heads, context, read_settings)
    expanded = _with_services(entries, expanded, context)
    _take_heads(expanded, heads)
    apps = [entry.app for entry in expanded]
    # The entries that are written out come first, and what apps.yml alone says before what
    # repositories do: what they have, no branch takes from them.
    placed, given = (
        [(entry.places, entry.app) for entry in sorted(every, key=_rank)]
        for every in (expanded, alone)
    )
    for app, (_, problem) in _conflicts(placed, given):
        app.fail(STEP, str(problem))
    for entry in expanded:
        if entry.told and entry.app.failed:
            entry.app.ingress = None
    by_id = Counter(app.id for app in apps)
    for app in reversed(apps):
        if app.failed and by_id[app.id] > 1:
            by_id[app.id] -= 1
            app.id = f"{app.id} of {app.pattern or app.git_branch}"
    return apps


def _rank(entry: _Entry) -> tuple[bool, bool]:
    """Who comes first where two want one name."""
    return entry.told, bool(entry.pattern)


Heads = dict[tuple[str, GitAuth | None], Mapping[str, str]]
"""The newest commits of branches, by what was asked for them."""


def _take_heads(entries: Iterable[_Entry], heads: Heads) -> None:
    """Note in apps the newest commits of their branches, as far as they are known."""
    for app in (entry.app for entry in entries):
        app.head = heads.get(branches.source(app), {}).get(app.git_branch, "")


def _told(
    entries: Sequence[_Entry],
    environments: Sequence[_Entry],
    heads: Heads,
    context: Context,
    read_settings: ReadSettings,
) -> list[_Entry]:
    """The environments with what their repositories say of them; ``heads`` get those of these."""
    asked = [entry for entry in environments if entry.is_open]
    if not asked:
        return [*environments]
    found = [*zip(asked, read_settings([entry.app for entry in asked]), strict=True)]
    for entry, said in found:
        heads[branches.source(entry.app)] = {
            **heads.get(branches.source(entry.app), {}),
            **said.heads,
        }
    given, every = (
        [(_ingress(context.document.value, entry.places.at), entry.app) for entry in some]
        for some in (entries, environments)
    )
    ground = repository.Ground(given, every, context.domain)
    answers = iter(said for _, said in found)
    return [
        _told_one(entry, next(answers), ground, context) if entry.is_open else entry
        for entry in environments
    ]


def _ingress(value: Mapping[str, Any], at: int) -> dict[str, Any]:
    """What the file says of the routes of an app, or of those that its repository may say."""
    defaults, app = value.get("defaults", {}), value["apps"][at]
    given = {**defaults.get("ingress", {}), **app.get("ingress", {})}
    is_open = app.get(repository.KEY, defaults.get(repository.KEY, False))
    return given if is_open or "rules" in given else {}


def _told_one(
    entry: _Entry, said: repository.Said, ground: repository.Ground, context: Context
) -> _Entry:
    """An environment with what its repository says of it, or with the reason why that is not so."""
    problem = said.problem
    if not problem and said.content is not None:
        told = tried(_overlaid, entry, said, ground, context)
        if not isinstance(told, str):
            return told
        problem = told
    if problem:
        entry.app.fail(STEP, problem)
    return entry


def _overlaid(
    entry: _Entry, said: repository.Said, ground: repository.Ground, context: Context
) -> _Entry:
    """An environment with what its repository says of it; raises SlipwayError with all that is
    wrong with that.
    """
    document = repository.read(said, entry.app, entry.places.at)
    told, found = entry, repository.unsound(document)
    if not found:
        told, found = _with_said(entry, document, ground, context)
    if found := plaintext.mistakes(document, found):
        raise SlipwayError(repository.shown(document, found))
    return told


def _with_said(
    entry: _Entry, document: Document, ground: repository.Ground, context: Context
) -> tuple[_Entry, list[Finding]]:
    """An environment with what a sound file of its repository says, and what is wrong with it."""
    branch, places, said = entry.app.git_branch, entry.places.told(document), document.value
    value, at = context.document.value, entry.places.at
    settings = {**_merged(value, at, said), "git_branch": branch}
    if "services" in said and "services" not in value["apps"][at]:
        own = services.of(settings).items()
        settings["services"] = {
            name: {**each, "quota": repository.OF_SERVICES} for name, each in own
        }
    known = {**context.passwords, **passwords.named_in({"apps": [settings]})}
    context = replace(context, passwords=known)
    mistakes = chain(
        repository.mistakes(places, said, settings, _others(value, at), context.secrets),
        _mistakes(places, settings, context),
    )
    if found := [*islice(mistakes, repository.ENOUGH)]:
        return entry, found
    try:
        app = _app(settings, branch, entry.app.pattern, context)
    except Unfilled as error:
        return entry, [_unfilled(places, branch, error)]
    told = _Entry(places, settings, app, told=True)
    found = [*_rendered_mistakes(places, settings, app, context)]
    found += repository.opened(places, entry.app, app)
    found += ground.mistakes(places, settings.get("ingress", {}), _ingress(value, at), app)
    for each in _services(told, context, services.ENVIRONMENT, services.CLUSTER):
        found += _service_mistakes(each, context)
    return told, found


def _others(value: Mapping[str, Any], at: int) -> Collection[str]:
    """The names of all apps and services of the file but one app's, of all its entries."""
    name = value["apps"][at]["name"]
    others = [app for app in value["apps"] if app["name"] != name]
    return reach.branches_of({"apps": others}).keys()


def _with_services(
    entries: Iterable[_Entry], environments: Iterable[_Entry], context: Context
) -> list[_Entry]:
    """The services of the entries that are for all, and each environment after its own."""
    shared: list[_Entry] = []
    for each in (each for entry in entries for each in _services(entry, context, services.CLUSTER)):
        if (each.app.id, each.settings) not in [(one.app.id, one.settings) for one in shared]:
            shared.append(each)
    found = [
        each
        for entry in environments
        for each in (*_services(entry, context, services.ENVIRONMENT), entry)
    ]
    return [*shared, *found]


def _ring(entries: Iterable[_Entry]) -> Iterator[Finding]:
    """Apps that wait for one another."""
    by_name: dict[str, list[str]] = {}
    places: dict[str, Places] = {}
    for entry in entries:
        by_name.setdefault(entry.app.name, []).extend(each.app for each in entry.app.needs)
        places.setdefault(entry.app.name, entry.places)
    if way := services.ring(by_name):
        what = f"has them wait for one another for ever: {' needs '.join(way)}"
        yield places[way[0]].finding(("uses",), what, "remove one of them")


def _environments(entry: _Entry, matches: Matches, context: Context) -> list[_Entry]:
    """A pattern's entry once for each branch; if the pattern cannot be resolved, with the reason.

    Then there is at least one app, to carry the reason.
    """
    apps = [_environment(entry, branch, context) for branch in matches.names]
    if matches.problem:
        apps = apps or [_nowhere(entry, str(entry.pattern))]
        for app in apps:
            app.fail(STEP, matches.problem)
    return [replace(entry, app=app) for app in apps]


def _environment(entry: _Entry, branch: str, context: Context) -> App:
    """The app of one branch of a pattern, with what its name makes wrong."""
    found = tried(_app, entry.settings, branch, entry.pattern, context)
    if isinstance(found, str):
        # The namespace, if there is one, says which environment it is that goes on as it was.
        settings = {key: value for key, value in entry.settings.items() if key != "ingress"}
        named = tried(_app, settings, branch, entry.pattern, context)
        app = _nowhere(entry, branch) if isinstance(named, str) else named
        app.fail(STEP, str(_unfilled(entry.places, branch, found)[1]))
        return app
    mistakes = [*_rendered_mistakes(entry.places, entry.settings, found, context)]
    for _, problem in mistakes:
        found.fail(STEP, str(problem))
        found.ingress = None  # what is no route is nothing for a later step to look at
    return found


def _unfilled(places: Places, branch: str, error: object) -> Finding:
    """A template that cannot be filled in with the name of a branch."""
    what = f"has a template that cannot be filled in for the branch {branch!r}: {error}"
    return places.finding((), what, "write one that any branch can fill in, or exclude this one")


def _nowhere(entry: _Entry, branch: str) -> App:
    """An app that has no place, to carry a reason."""
    return structs.replace(
        entry.app,
        id=f"{branch}/{entry.app.name}",
        namespace="-",
        git_branch=branch,
        branch_slug=slug(branch),
        ingress=None,
    )


def _intrusions(entries: Sequence[_Entry]) -> Iterator[tuple[App, Finding]]:
    """Environments that the name of their branch puts into what is another app's by default.

    Apps whose templates give the same namespace or host may share it; one that names none, or
    writes it out, did not mean to.
    """
    alone = {
        entry.app.namespace: entry.app.name
        for entry in entries
        if not is_template(entry.settings.get("namespace"))
    }
    written = {
        host: entry.app.name
        for entry in entries
        for host, by_branch in routes.hosts_by_branch(entry.settings, entry.app)
        if not by_branch
    }
    for entry in entries:
        app = entry.app
        if not entry.pattern or app.failed:
            continue
        owner = alone.get(app.namespace, app.name)
        if owner != app.name:
            what = f"{app.namespace} is the namespace of {owner}"
            fix = "begin it with the name of the app, or leave it out"
            yield app, entry.places.finding(("namespace",), what, fix)
        for host, by_branch in routes.hosts_by_branch(entry.settings, app):
            owner = written.get(host, app.name)
            if by_branch and owner != app.name:
                what = f"{host}, for the branch {app.git_branch!r}, is the host of {owner}"
                fix = "have the name of the app in it, or exclude the branch"
                yield app, entry.places.finding(("ingress",), what, fix)


def _template_mistakes(places: Places, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Templates of names that cannot be filled in."""
    if fault := mistake(settings.get("namespace", ""), ROUTE_VARIABLES[:3]):
        yield places.finding(("namespace",), *fault)
    yield from routes.template_mistakes(places, settings)
    yield from certificate.template_mistakes(places, settings)
    yield from workload.template_mistakes(places, settings)


def _app(settings: Mapping[str, Any], branch: str, pattern: str | None, context: Context) -> App:
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


def _rendered_mistakes(
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


def _parts(app: App) -> Iterator[tuple[Place, str]]:
    """What runs of an app, by its name in the cluster, and which setting says so."""
    yield (), f"{named(app)} in namespace {app.namespace}"
    for key, parts in (("processes", app.processes), ("jobs", app.jobs)):
        for part in parts:
            yield (key, part), f"{named(app, part)} in namespace {app.namespace}"


def _only(app: App) -> Iterator[tuple[Place, str]]:
    """What else no other app can have, and which setting says so."""
    yield from service.taken(app.service)
    yield from volumes.taken(app)


def _conflicts(
    apps: Iterable[tuple[Places, App]], given: Iterable[tuple[Places, App]] = ()
) -> Iterator[tuple[App, Finding]]:
    """What two apps cannot both have, with the second of them.

    Names that are ``given`` to apps are theirs whichever comes first.
    """
    first: dict[str, str] = {}
    parts: dict[str, tuple[str, str]] = {}
    only: dict[str, tuple[str, str]] = {}
    levels: dict[str, tuple[str, str]] = {}
    taken: dict[tuple[str, str], routes.Taken] = {}
    for places, app in given:
        for names, found in ((parts, _parts(app)), (only, _only(app))):
            for _, name in found:
                names.setdefault(name, (app.id, places.where()))
    for places, app in apps:
        if at := first.get(app.id):
            finding = places.finding(
                (),
                f"{app.name} in namespace {app.namespace} is also at {at}",
                "give one of them another name or a namespace of its own",
            )
            yield app, finding
            continue
        first[app.id] = places.where()
        for setting, name in _parts(app):
            owner, at = parts.setdefault(name, (app.id, places.where()))
            if owner != app.id:
                what = f"{name} is also the name of what {at} runs"
                yield app, places.finding(setting, what, "give one of them another name")
        for setting, name in _only(app):
            owner, at = only.setdefault(name, (app.id, places.where()))
            if owner != app.id:
                yield app, places.finding(setting, f"{name} is also that of {at}", "write another")
        level, at = levels.setdefault(app.namespace, (app.pod_security, places.where()))
        if level != app.pod_security:
            what = f"is {app.pod_security}, and {at}, in the same namespace, is {level}"
            fix = "write the same for both, or give one of them a namespace of its own"
            yield app, places.finding(("pod_security",), what, fix)
        for finding in routes.conflicts(places, app, taken):
            yield app, finding

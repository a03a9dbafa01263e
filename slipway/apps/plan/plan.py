"""apps.yml as a list of apps: validated, defaults merged in, compared with one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from slipway.apps.app import App
from slipway.apps.boundary import tried
from slipway.apps.names import slug
from slipway.apps.plan import (
    branches,
    passwords,
    plaintext,
    reach,
    routes,
    schema,
)
from slipway.apps.plan.bounds import NO_BOUNDS, Bounds
from slipway.apps.plan.branches import FindBranches, Matches
from slipway.apps.plan.conflicts import conflicts, intrusions, ring
from slipway.apps.plan.entry import (
    STEP,
    Context,
    Entry,
    app_of,
    entry_of,
    merged,
    rendered_mistakes,
    unfilled,
    with_services,
)
from slipway.apps.plan.places import Places
from slipway.apps.plan.routes import DOMAIN
from slipway.apps.plan.told import Heads, ReadSettings, told_all
from slipway.apps.plan.yaml_lines import read
from slipway.errors import SlipwayError


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
    entries: list[Entry] = []
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
            entry, mistakes = entry_of(Places(document, at), merged(document.value, at), context)
            found += mistakes
            entries += [entry] if entry else []
        every = with_services(entries, entries, context)
        sound = [(each.places, each.app) for each in every]
        found += [finding for _, finding in conflicts(sound)]
        found += ring(entries)
    found = plaintext.mistakes(document, found)
    if found:
        found.sort(key=lambda each: document.line(each[0]))
        raise SlipwayError(dict.fromkeys(problem for _, problem in found))
    return _expanded(entries, context, find_branches, read_settings)


def _expanded(
    entries: Sequence[Entry],
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
    expanded: list[Entry] = []
    for entry in entries:
        expanded += _environments(entry, next(matches), context) if entry.pattern else [entry]
    for app, (_, problem) in [*intrusions(expanded)]:
        app.fail(STEP, str(problem))
        app.ingress = None  # or its routes would be others'
    _take_heads(expanded, heads)
    alone: list[Entry] = []
    if read_settings:
        alone = with_services((), [entry for entry in expanded if entry.is_open], context)
        expanded = told_all(entries, expanded, heads, context, read_settings)
    expanded = with_services(entries, expanded, context)
    _take_heads(expanded, heads)
    apps = [entry.app for entry in expanded]
    # The entries that are written out come first, and what apps.yml alone says before what
    # repositories do: what they have, no branch takes from them.
    placed, given = (
        [(entry.places, entry.app) for entry in sorted(every, key=_rank)]
        for every in (expanded, alone)
    )
    for app, (_, problem) in conflicts(placed, given):
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


def _rank(entry: Entry) -> tuple[bool, bool]:
    """Who comes first where two want one name."""
    return entry.told, bool(entry.pattern)


def _take_heads(entries: Iterable[Entry], heads: Heads) -> None:
    """Note in apps the newest commits of their branches, as far as they are known."""
    for app in (entry.app for entry in entries):
        app.head = heads.get(branches.source(app), {}).get(app.git_branch, "")


def _environments(entry: Entry, matches: Matches, context: Context) -> list[Entry]:
    """A pattern's entry once for each branch; if the pattern cannot be resolved, with the reason.

    Then there is at least one app, to carry the reason.
    """
    apps = [_environment(entry, branch, context) for branch in matches.names]
    if matches.problem:
        apps = apps or [_nowhere(entry, str(entry.pattern))]
        for app in apps:
            app.fail(STEP, matches.problem)
    return [replace(entry, app=app) for app in apps]


def _environment(entry: Entry, branch: str, context: Context) -> App:
    """The app of one branch of a pattern, with what its name makes wrong."""
    found = tried(app_of, entry.settings, branch, entry.pattern, context)
    if isinstance(found, str):
        # The namespace, if there is one, says which environment it is that goes on as it was.
        settings = {key: value for key, value in entry.settings.items() if key != "ingress"}
        named = tried(app_of, settings, branch, entry.pattern, context)
        app = _nowhere(entry, branch) if isinstance(named, str) else named
        app.fail(STEP, str(unfilled(entry.places, branch, found)[1]))
        return app
    mistakes = [*rendered_mistakes(entry.places, entry.settings, found, context)]
    for _, problem in mistakes:
        found.fail(STEP, str(problem))
        found.ingress = None  # what is no route is nothing for a later step to look at
    return found


def _nowhere(entry: Entry, branch: str) -> App:
    """An app that has no place, to carry a reason."""
    return structs.replace(
        entry.app,
        id=f"{branch}/{entry.app.name}",
        namespace="-",
        git_branch=branch,
        branch_slug=slug(branch),
        ingress=None,
    )

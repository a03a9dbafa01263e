"""Environments with what their repositories say of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from slipway.apps.app import App, GitAuth
from slipway.apps.boundary import tried
from slipway.apps.plan import branches, passwords, plaintext, reach, repository, services
from slipway.apps.plan.entry import (
    STEP,
    Context,
    Entry,
    app_of,
    ingress_of,
    merged,
    mistakes_of,
    rendered_mistakes,
    service_mistakes,
    services_of,
    unfilled,
)
from slipway.apps.plan.places import Finding
from slipway.apps.plan.yaml_lines import Document
from slipway.apps.templates import Unfilled
from slipway.errors import SlipwayError

ReadSettings = Callable[[Sequence[App]], Sequence[repository.Said]]
"""What the repository of each of the apps says of it."""

Heads = dict[tuple[str, GitAuth | None], Mapping[str, str]]
"""The newest commits of branches, by what was asked for them."""


def told_all(
    entries: Sequence[Entry],
    environments: Sequence[Entry],
    heads: Heads,
    context: Context,
    read_settings: ReadSettings,
) -> list[Entry]:
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
        [(ingress_of(context.document.value, entry.places.at), entry.app) for entry in some]
        for some in (entries, environments)
    )
    ground = repository.Ground(given, every, context.domain)
    answers = iter(said for _, said in found)
    return [
        _told_one(entry, next(answers), ground, context) if entry.is_open else entry
        for entry in environments
    ]


def _told_one(
    entry: Entry, said: repository.Said, ground: repository.Ground, context: Context
) -> Entry:
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
    entry: Entry, said: repository.Said, ground: repository.Ground, context: Context
) -> Entry:
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
    entry: Entry, document: Document, ground: repository.Ground, context: Context
) -> tuple[Entry, list[Finding]]:
    """An environment with what a sound file of its repository says, and what is wrong with it."""
    branch, places, said = entry.app.git_branch, entry.places.told(document), document.value
    value, at = context.document.value, entry.places.at
    settings = {**merged(value, at, said), "git_branch": branch}
    if "services" in said and "services" not in value["apps"][at]:
        own = services.of(settings).items()
        settings["services"] = {
            name: {**each, "quota": repository.OF_SERVICES} for name, each in own
        }
    known = {**context.passwords, **passwords.named_in({"apps": [settings]})}
    context = replace(context, passwords=known)
    mistakes = chain(
        repository.mistakes(places, said, settings, _others(value, at), context.secrets),
        mistakes_of(places, settings, context),
    )
    if found := [*islice(mistakes, repository.ENOUGH)]:
        return entry, found
    try:
        app = app_of(settings, branch, entry.app.pattern, context)
    except Unfilled as error:
        return entry, [unfilled(places, branch, error)]
    told = Entry(places, settings, app, told=True)
    found = [*rendered_mistakes(places, settings, app, context)]
    found += repository.opened(places, entry.app, app)
    found += ground.mistakes(places, settings.get("ingress", {}), ingress_of(value, at), app)
    for each in services_of(told, context, services.ENVIRONMENT, services.CLUSTER):
        found += service_mistakes(each, context)
    return told, found


def _others(value: Mapping[str, Any], at: int) -> Collection[str]:
    """The names of all apps and services of the file but one app's, of all its entries."""
    name = value["apps"][at]["name"]
    others = [app for app in value["apps"] if app["name"] != name]
    return reach.branches_of({"apps": others}).keys()

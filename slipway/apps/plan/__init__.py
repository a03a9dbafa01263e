"""apps.yml as a list of app records: validated, defaults merged in, compared with one another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.apps import schema
from slipway.apps.names import namespace_of, slug
from slipway.apps.places import Finding, Places
from slipway.apps.plan import branches, routes, source, workload
from slipway.apps.records import Record
from slipway.apps.templates import ROUTE_VARIABLES, fill, is_template, mistake
from slipway.apps.yaml_lines import read
from slipway.errors import SlipwayError

_MERGED = ("branches", "env", "ingress", "node_selector", "probes", "resources", "security")
"""The settings of which an app and the defaults may each give a part."""

FindBranches = Callable[[Mapping[str, Any]], Sequence[str]]
"""The branches that an app's settings, whose ``git_branch`` is a pattern, stand for."""


@dataclass(frozen=True)
class Context:
    """What apps are checked against: the file's folder, its hosts, and the secrets there are.

    ``secrets`` are names; None when they are not known, as where no vault is at hand.
    """

    folder: Path
    hosts: Mapping[str, Any]
    secrets: Collection[str] | None


def plan(
    path: Path,
    *,
    secrets: Collection[str] | None = None,
    find_branches: FindBranches | None = None,
) -> list[Record]:
    """The apps of the file at ``path``, in its order, each branch as one record.

    An app whose ``git_branch`` is a pattern gives a record for each branch that
    ``find_branches`` finds, and none without it. ``secrets`` are the names that apps may use.
    Raises SlipwayError with every mistake of the file.
    """
    document = read(path)
    found = [*document.problems, *schema.mistakes(document)]
    records: list[tuple[Places, Record]] = []
    if all(place[:1] == ("apps",) and len(place) > 1 for place, _ in found):
        # The mistakes lie in single apps: the others can be compared with one another.
        unsound = {place[1] for place, _ in found}
        hosts = document.value.get("hosts", {})
        context = Context(path.resolve().parent, hosts, secrets)
        found += routes.host_mistakes(document, context.secrets)
        for at in range(len(document.value["apps"])):
            if at in unsound:
                continue
            places = Places(document, at)
            own, mistakes = _app(places, _merged(document.value, at), context, find_branches)
            records += [(places, record) for record in own]
            found += mistakes
        found += _conflicts(records)
    if found:
        found.sort(key=lambda each: document.line(each[0]))
        raise SlipwayError(dict.fromkeys(problem for _, problem in found))
    return [record for _, record in records]


def _merged(value: Mapping[str, Any], at: int) -> dict[str, Any]:
    """An app's settings over the file's defaults, without the free ``x-`` keys."""
    defaults = value.get("defaults", {})
    app = value["apps"][at]
    settings = {**defaults, **app}
    for key in _MERGED:
        if key in settings:
            settings[key] = {**defaults.get(key, {}), **app.get(key, {})}
    settings.setdefault("git_branch", schema.default("git_branch"))
    return {key: setting for key, setting in settings.items() if not key.startswith("x-")}


def _app(
    places: Places,
    settings: Mapping[str, Any],
    context: Context,
    find_branches: FindBranches | None,
) -> tuple[list[Record], list[Finding]]:
    """The records of one entry of the file, and what is wrong with it."""
    mistakes = [
        *_template_mistakes(places, settings),
        *source.mistakes(places, settings, context.secrets),
        *branches.mistakes(places, settings),
        *workload.mistakes(places, settings, context.folder, context.secrets),
        *routes.mistakes(places, settings),
    ]
    if mistakes:
        return [], mistakes
    pattern = settings["git_branch"] if branches.is_pattern(settings["git_branch"]) else None
    if pattern is None:
        records = [_record(settings, settings["git_branch"], None, context)]
        return records, list(_rendered_mistakes(places, settings, records[0]))
    sample = _record(settings, branches.sample(pattern), pattern, context)
    if mistakes := list(_rendered_mistakes(places, settings, sample)):
        return [], mistakes
    found = find_branches(settings) if find_branches else ()
    return [_record(settings, branch, pattern, context) for branch in found], []


def _template_mistakes(places: Places, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Templates of names that cannot be filled in."""
    if fault := mistake(settings.get("namespace", ""), ROUTE_VARIABLES[:3]):
        yield places.finding(("namespace",), *fault)
    yield from routes.template_mistakes(places, settings)
    yield from workload.template_mistakes(places, settings)


def _record(
    settings: Mapping[str, Any], branch: str, pattern: str | None, context: Context
) -> Record:
    """The record that all later steps start from; ``settings`` are known to be sound."""
    name = settings["name"]
    variables = {"name": name, "branch": branch, "branch_slug": slug(branch)}
    namespace = fill(settings.get("namespace", ""), variables) or namespace_of(name, branch)
    variables["namespace"] = namespace
    ingress = routes.record(settings.get("ingress"), context.hosts, variables)
    return {
        "id": f"{namespace}/{name}",
        "name": name,
        "namespace": namespace,
        "git_branch": branch,
        "branch_slug": slug(branch),
        "pattern": pattern,
        **source.record(settings, context.folder),
        **workload.record(settings, context.folder),
        "ingress": ingress,
    }


def _rendered_mistakes(
    places: Places, settings: Mapping[str, Any], record: Record
) -> Iterator[Finding]:
    """Names that are no longer right once their templates are filled in."""
    if is_template(settings.get("namespace")):
        yield from schema.setting_mistakes(places, ("namespace",), record["namespace"])
    yield from routes.rendered_mistakes(places, settings, record)


def _conflicts(records: Iterable[tuple[Places, Record]]) -> Iterator[Finding]:
    """What two apps cannot both have."""
    apps: dict[str, str] = {}
    taken: dict[tuple[str, str], str] = {}
    for places, record in records:
        if first := apps.get(record["id"]):
            yield places.finding(
                (),
                f"{record['name']} in namespace {record['namespace']} is also at {first}",
                "give one of them another name or a namespace of its own",
            )
            continue
        apps[record["id"]] = places.where()
        yield from routes.conflicts(places, record, taken)

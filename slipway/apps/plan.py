"""apps.yml as a list of app records: validated, defaults merged in, compared with one another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway.apps import schema
from slipway.apps.names import namespace_of, slug
from slipway.apps.records import Record
from slipway.apps.yaml_lines import Document, Place, read
from slipway.errors import Problem, SlipwayError

Finding = tuple[Place, Problem]

_MERGED = ("env", "node_selector", "ingress")
"""The settings of which an app and the defaults may each give a part."""

_URL_SECRET = re.compile(r"^[a-z+]+://[^/@\s:]*:[^/@\s]+@", re.IGNORECASE)
_HAS_HOST = re.compile(r"^(?:[a-z+]+://|[^/]+:)", re.IGNORECASE)
"""A URL, or ``host:path`` as ssh has it; anything else is a path."""


def plan(path: Path) -> list[Record]:
    """The apps of the file at ``path``, in its order, each as one record.

    Raises SlipwayError with every mistake of the file.
    """
    document = read(path)
    found = [*document.problems, *schema.mistakes(document)]
    if all(place[:1] == ("apps",) and len(place) > 1 for place, _ in found):
        # The mistakes lie in single apps: the others can be compared with one another.
        unsound = {place[1] for place, _ in found}
        records: dict[int, Record] = {}
        for at in range(len(document.value["apps"])):
            if at in unsound:
                continue
            settings = _merged(document.value, at)
            mistakes = list(_own_mistakes(_Places(document, at), settings))
            found += mistakes
            if not mistakes:
                records[at] = _record(settings, path.resolve().parent)
        found += _conflicts(document, records)
    if found:
        found.sort(key=lambda each: document.line(each[0]))
        raise SlipwayError(dict.fromkeys(problem for _, problem in found))
    return list(records.values())


def _merged(value: Mapping[str, Any], at: int) -> dict[str, Any]:
    """An app's settings over the file's defaults, without the free ``x-`` keys."""
    defaults = value.get("defaults", {})
    app = value["apps"][at]
    settings = {**defaults, **app}
    for key in _MERGED:
        if key in settings:
            settings[key] = {**defaults.get(key, {}), **app.get(key, {})}
    return {key: setting for key, setting in settings.items() if not key.startswith("x-")}


class _Places:
    """Findings about the settings of one app; a setting may come from the file's defaults."""

    def __init__(self, document: Document, at: int) -> None:
        self._document = document
        self._at = at

    def where(self, *setting: str | int) -> str:
        """The place of a setting as a user finds it."""
        return self._document.where(self._place(setting))

    def finding(self, setting: Place, what: str, fix: str) -> Finding:
        """Something wrong with a setting."""
        place = self._place(setting)
        return place, Problem(self._document.where(place), what, fix)

    def _place(self, setting: Place) -> Place:
        lines = self._document.lines
        inherited = (
            ("apps", self._at, *setting[:1]) not in lines
            or ("apps", self._at, *setting[:2]) not in lines
        ) and ("defaults", *setting[:2]) in lines
        return ("defaults", *setting) if setting and inherited else ("apps", self._at, *setting)


def _own_mistakes(places: _Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong in one app and needs more than the schema to see."""
    yield from _source_mistakes(places, app)
    yield from _route_mistakes(places, app)
    yield from _config_mistakes(places, app)


def _source_mistakes(places: _Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    if "git_url" not in app:
        fix = "add git_url to the app or to the defaults"
        yield places.finding((), "lacks the key git_url", fix)
    elif _URL_SECRET.match(app["git_url"]):
        fix = "take it out; let ssh or a git credential helper identify you"
        yield places.finding(("git_url",), "holds a password", fix)


def _route_mistakes(places: _Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    ingress = app.get("ingress")
    if ingress is None:
        return
    for key, example in (("host", "demo.slipway.test"), ("rules", f"[{{path: /{app['name']}/}}]")):
        if key not in ingress:
            fix = f"add {key}: {example}, or remove ingress"
            yield places.finding(("ingress",), f"lacks the key {key}", fix)
    for number, rule in enumerate(ingress.get("rules", ())):
        path, rewrite = rule["path"], rule.get("rewrite")
        if rewrite is None or rule.get("path_type") == "Exact":
            continue
        open_ended = [repr(text) for text in (path, rewrite) if not text.endswith("/")]
        if open_ended:
            # The ingress controller replaces the path, as text, by the rewrite: /a with / would
            # make //b of /a/b, and b of /ab.
            yield places.finding(
                ("ingress", "rules", number, "rewrite"),
                f"a Prefix path and its rewrite end in '/'; not so {' and '.join(open_ended)}",
                f"write path: {path.rstrip('/')}/ and rewrite: {rewrite.rstrip('/')}/",
            )


def _config_mistakes(places: _Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for number, file in enumerate(app.get("config_files", ())):
        setting: Place = ("config_files", number, "path")
        where = places.where(*setting)
        if (first := seen.setdefault(file["path"], where)) != where:
            yield places.finding(setting, f"{file['path']} is also at {first}", "keep one of them")


def _record(settings: Mapping[str, Any], folder: Path) -> Record:
    """The record that all later steps start from; ``settings`` are known to be sound."""
    name = settings["name"]
    branch = settings.get("git_branch", schema.default("git_branch"))
    namespace = settings.get("namespace") or namespace_of(name, branch)
    return {
        "id": f"{namespace}/{name}",
        "name": name,
        "namespace": namespace,
        "git_url": _absolute(settings["git_url"], folder),
        "git_branch": branch,
        "branch_slug": slug(branch),
        "build": _build(settings.get("build")),
        "base_image": _base_image(settings.get("base_image")),
        "port": int(settings.get("port", schema.default("port"))),
        "replicas": int(settings.get("replicas", schema.default("replicas"))),
        "health_path": settings.get("health_path"),
        "env": _texts(settings.get("env", {})),
        "config_files": [_plain(file) for file in settings.get("config_files", ())],
        "node_selector": _texts(settings.get("node_selector", {})),
        "ingress": _ingress(settings.get("ingress")),
    }


def _absolute(git_url: str, folder: Path) -> str:
    """A relative path seen from ``folder``; a URL and an absolute path as they are."""
    return git_url if _HAS_HOST.match(git_url) else str((folder / git_url).resolve())


def _build(given: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """The builder under ``tool`` (None: to be found out) and its options beside it."""
    if given is None or isinstance(given, str):
        return {"tool": given}
    [(tool, options)] = _plain(given).items()
    options = _plain(options)
    if tool == "buildx":
        options["args"] = _texts(options.get("args", {}))
    return {"tool": tool, **options}


def _base_image(given: str | Mapping[str, str] | None) -> dict[str, str]:
    """The base image that the user names for each builder."""
    if given is None:
        return {}
    return {"jib": given, "buildx": given} if isinstance(given, str) else _plain(given)


def _ingress(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    rules = [
        {"path_type": "Prefix", "rewrite": None, "expect": None, **_plain(rule)}
        for rule in given["rules"]
    ]
    return {"host": given["host"], "rules": rules}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}


def _plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping without its free ``x-`` keys."""
    return {key: value for key, value in mapping.items() if not key.startswith("x-")}


def _conflicts(document: Document, records: Mapping[int, Record]) -> Iterator[Finding]:
    """What two apps cannot both have; ``records`` are by their position in the file."""
    apps: dict[str, str] = {}
    routes: dict[tuple[str, str], str] = {}
    for at, record in records.items():
        places = _Places(document, at)
        if first := apps.get(record["id"]):
            yield places.finding(
                (),
                f"{record['name']} in namespace {record['namespace']} is also at {first}",
                "give one of them another name or a namespace of its own",
            )
            continue
        apps[record["id"]] = places.where()
        ingress = record["ingress"] or {"host": "", "rules": []}
        for number, rule in enumerate(ingress["rules"]):
            setting: Place = ("ingress", "rules", number, "path")
            # The ingress controller tells paths apart by their text alone, whatever their type.
            route = (ingress["host"], rule["path"])
            if first := routes.get(route):
                yield places.finding(
                    setting,
                    f"{''.join(route)} is already the path of {first}",
                    "give one of them another path",
                )
            else:
                routes[route] = places.where(*setting)

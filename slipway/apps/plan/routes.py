"""How an app is reached: hosts, paths and rewrites."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from slipway.apps.app import App
from slipway.apps.plan import schema
from slipway.apps.plan.bounds import Bounds
from slipway.apps.plan.branches import is_pattern, tells_branches_apart
from slipway.apps.plan.places import Finding, Places, plain
from slipway.apps.plan.secret_names import unknown
from slipway.apps.plan.yaml_lines import Document, Place
from slipway.apps.templates import HOST_VARIABLES, ROUTE_VARIABLES, fill, is_template, mistake
from slipway.certificates import PARTS, faults, from_secrets
from slipway.errors import Problem

DOMAIN = "slipway.test"
"""What hosts are below of that say ``{{ domain }}``, where nothing else is said."""

_CODE = re.compile(r"%[0-9A-Fa-f]{2}")
_ODD = re.compile(r"[\x00-\x7f](?<![A-Za-z0-9._~@:-])")
"""What ingress controllers take in no path, or take for something else than a character."""

_MOST_BYTES = 1024

_TEMPLATED = ("host", "path", "rewrite", "expect")


def hosts_of(document: Document, domain: str) -> dict[str, Any]:
    """What the file says of hosts, by their names in a ``domain``."""
    return {
        fill(host, {"domain": domain}): settings
        for host, settings in document.value.get("hosts", {}).items()
    }


def host_mistakes(
    document: Document, domain: str, secrets: Collection[str] | None
) -> Iterator[Finding]:
    """Certificates and keys of hosts that are no secrets there are, or will not do.

    The latter is told only if ``secrets`` has the values, as a mapping.
    """
    if secrets is None:
        return
    for host, settings in document.value.get("hosts", {}).items():
        tls = settings.get("tls")
        for part, what, fix in (
            _tls_mistakes(fill(host, {"domain": domain}), tls, secrets)
            if isinstance(tls, Mapping)
            else ()
        ):
            place = ("hosts", host, "tls", part)
            yield place, Problem(document.where(place), what, fix)


def _tls_mistakes(
    host: str, tls: Mapping[str, str], secrets: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a host's own certificate: which part, what, and the way to mend it."""
    missing = [part for part in PARTS if tls[part] not in secrets]
    for part in missing:
        yield part, *unknown(tls[part], secrets)
    if not missing and isinstance(secrets, Mapping):
        for fault in faults(from_secrets(tls, secrets), host):
            yield fault.part, f"the secret {tls[fault.part]} {fault.what}", fault.fix


def mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with an app's routes."""
    ingress = app.get("ingress")
    if ingress is None:
        return
    if "rules" not in ingress:
        yield _lacks(places, "rules", f"[{{path: /{app['name']}/}}]")
    elif "host" not in ingress and any("host" not in rule for rule in ingress["rules"]):
        yield _lacks(places, "host", "demo.slipway.test")
    for number, rule in enumerate(ingress.get("rules", ())):
        yield from _rule_mistakes(places, app, number, rule)


def _lacks(places: Places, key: str, example: str) -> Finding:
    fix = f"add {key}: {example}, or remove ingress"
    return places.finding(("ingress",), f"lacks the key {key}", fix)


def _rule_mistakes(
    places: Places, app: Mapping[str, Any], number: int, rule: Mapping[str, Any]
) -> Iterator[Finding]:
    path, rewrite = rule["path"], rule.get("rewrite")
    host = rule.get("host", app["ingress"].get("host", ""))
    if is_pattern(app["git_branch"]) and not any(map(tells_branches_apart, (path, host))):
        yield places.finding(
            ("ingress", "rules", number, "path"),
            f"is the same for every branch of {app['git_branch']}",
            f"write {path.rstrip('/')}/{{{{ branch_slug }}}}/",
        )
    if rewrite is None or rule.get("path_type") == "Exact":
        return
    open_ended = [repr(text) for text in (path, rewrite) if not text.endswith("/")]
    if open_ended:
        # The ingress controller replaces the path, as text, by the rewrite: /a with / would
        # make //b of /a/b, and b of /ab.
        yield places.finding(
            ("ingress", "rules", number, "rewrite"),
            f"a Prefix path and its rewrite end in '/'; not so {' and '.join(open_ended)}",
            f"write path: {path.rstrip('/')}/ and rewrite: {rewrite.rstrip('/')}/",
        )


def template_mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Templates that cannot be filled in."""
    for setting, text in _texts(app):
        if fault := mistake(text, HOST_VARIABLES if setting[-1] == "host" else ROUTE_VARIABLES):
            yield places.finding(setting, *fault)


def rendered_mistakes(
    places: Places, settings: Mapping[str, Any], app: App, domain: str, bounds: Bounds
) -> Iterator[Finding]:
    """Hosts and paths that are no longer right once they are filled in, or decoded."""
    variables = {
        "name": app.name,
        "branch": app.git_branch,
        "branch_slug": app.branch_slug,
        "namespace": app.namespace,
        "domain": domain,
    }
    for setting, text in _texts(settings):
        if setting[-1] == "expect":
            continue
        filled = fill(text, variables)
        if is_template(text):
            yield from (found := [*schema.setting_mistakes(places, setting, filled)])
            if found:
                continue
        if setting[-1] == "path":
            yield from _path_mistakes(places, setting, filled)
        elif setting[-1] == "host":
            yield from bounds.host_mistakes(places, setting, filled)


def _path_mistakes(places: Places, setting: Place, path: str) -> Iterator[Finding]:
    """What is wrong with a path as ingress controllers look for it: decoded, as UTF-8."""
    if odd := [code for code in _CODE.findall(path) if _ODD.fullmatch(chr(int(code[1:], 16)))]:
        plain = _CODE.sub(lambda match: "-" if match[0] in odd else match[0], path)
        what = f"has {', '.join(dict.fromkeys(odd))} in it, which no path of a route can have"
        yield places.finding(setting, what, f"write {plain}, for example")
        return
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError:
        yield places.finding(setting, "has bytes in it that are no UTF-8", "write é as %C3%A9")
        return
    yield from (found := [*schema.setting_mistakes(places, setting, decoded)])
    if not found and len(decoded.encode()) > _MOST_BYTES:
        fix = f"must have at most {_MOST_BYTES}, decoded"
        yield places.finding(setting, f"has {len(decoded.encode()):,} bytes", fix)


def hosts_by_branch(settings: Mapping[str, Any], app: App) -> Iterator[tuple[str, bool]]:
    """The host of each route of an app, and whether it is the branch that makes it what it is."""
    ingress = settings.get("ingress") or {}
    for given, rule in zip(ingress.get("rules", ()), app.rules, strict=False):
        yield rule.host, tells_branches_apart(given.get("host", ingress.get("host", "")))


def _texts(app: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """The settings that may be templates, each with its place."""
    ingress = app.get("ingress") or {}
    if "host" in ingress:
        yield ("ingress", "host"), ingress["host"]
    for number, rule in enumerate(ingress.get("rules", ())):
        for key in _TEMPLATED:
            if key in rule:
                yield ("ingress", "rules", number, key), rule[key]


def settings_of(
    given: Mapping[str, Any] | None, hosts: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, Any] | None:
    """The ingress of an App: every host in its rule, and that host's settings beside it."""
    if given is None:
        return None
    rules = []
    for rule in given["rules"]:
        texts = {
            key: fill(text, variables)
            for key in _TEMPLATED
            if (text := rule.get(key, given.get(key))) is not None
        }
        # As a client writes it: é may be written in two ways, and both are the same path.
        texts["path"] = quote(unquote_to_bytes(texts["path"]), safe="/:@")
        if "rewrite" in texts:
            texts["rewrite"] = quote(texts["rewrite"], safe="/:@%")
        rules.append({**plain(rule), **texts, "tls": _tls(hosts, texts["host"])})
    settings = schema.schema()["definitions"]["ingress"]["properties"]
    return {
        **{
            key: given.get(key, settings[key]["default"])
            for key in settings.keys() - {"host", "rules"}
        },
        "rules": rules,
    }


def _tls(hosts: Mapping[str, Any], host: str) -> str | dict[str, Any] | None:
    """Where the certificate comes from of a host, or of all beside it (``*.slipway.test``)."""
    beside = f"*.{host.partition('.')[2]}"
    found: str | dict[str, Any] | None = hosts.get(host, hosts.get(beside, {})).get("tls")
    return plain(found) if isinstance(found, Mapping) else found


@dataclass(frozen=True)
class Taken:
    """A path that has an app already, and where in apps.yml that says so."""

    app_id: str
    path: str
    path_type: str
    where: str


def conflicts(
    places: Places, app: App, taken: MutableMapping[tuple[str, str], Taken]
) -> Iterator[Finding]:
    """Routes of an app that another one has; ``taken`` has those so far, by host and path.

    A path below another one's is no conflict: the longest path that fits a request has it.
    """
    for number, rule in enumerate(app.rules):
        setting: Place = ("ingress", "rules", number, "path")
        host, path = rule.host, rule.path
        new = Taken(app.id, path, rule.path_type, places.where(*setting))
        # The ingress controller tells paths apart by their text alone, whatever their type.
        first = taken.setdefault((host, path), new)
        if first is new:
            first = taken.get((host, _otherwise(path)), new)
            if not _take_from_each_other(first, new):
                continue
        same = "is already" if first.path == path else f"takes from {first.path},"
        yield places.finding(
            setting,
            f"{host}{path} {same} the path of {first.where}",
            "give one of them another path",
        )


def _otherwise(path: str) -> str:
    """The path with a slash at its end if it has none, and without if it has one."""
    return path[:-1] if path.endswith("/") else f"{path}/"


def _take_from_each_other(one: Taken, other: Taken) -> bool:
    """Whether two paths that differ in the last slash are the same to Kubernetes.

    The ingress controller would give what is below the path to one app and the rest to the other.
    """
    return one.app_id != other.app_id and one.path_type == other.path_type == "Prefix"

"""What a repository says of its own app: the file ``slipway.yml`` on each branch of it.

Everybody writes it who can push. So what it may say is a part of what apps.yml may, and what
apps.yml says of an app wins. The part is known by rules of the schema's kind, made of the schema
itself; what they cannot tell is looked at here.
"""

from __future__ import annotations

import copy
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from slipway.apps.app import CLUSTER_IP, App
from slipway.apps.plan import schema, services
from slipway.apps.plan.branches import tells_branches_apart
from slipway.apps.plan.places import Finding, Places, plain
from slipway.apps.plan.yaml_lines import Document, Most, Place, parse
from slipway.apps.templates import Unfilled, fill, is_program
from slipway.errors import Problem
from slipway.secrets import Secrets
from slipway.text import listed

FILE = "slipway.yml"

KEY = "repository_settings"
"""The setting by which an app takes what its repository says."""

LONGEST_JOBS = 600
"""For how many seconds a run may wait for the jobs of a file: they run one after the other."""

LARGEST = 256 << 10
"""How many bytes the file may have."""

_MOST = Most(values=10_000, characters=1 << 20)

_MOST_PROGRAMS = 20
"""How many of its templates may be more than names: each may take a second of a processor."""

MOST_PROBLEMS = 50
"""How many problems of a file are told at once."""

ENOUGH = 500
"""How many are looked for: what somebody may have meant takes its time to find out."""

_SAID = (
    "build",
    "base_image",
    "command",
    "port",
    "scheme",
    "replicas",
    "health_path",
    "probes",
    "resources",
    "processes",
    "jobs",
    "env",
    "config_files",
    "volumes",
    "certificate",
    "manifests",
    "helm",
    "service",
    "services",
    "ingress",
)
"""The keys of an app that are the repository's to say."""

APPS_ONLY = {
    "certificate": ("hosts",),
    "config_file": ("file",),
    "env_value": ("kubernetes_secret",),
    "helm_release": ("file", "allow_kinds", "pull"),
    "manifest": ("content", "file", "allow_kinds", "pull"),
    "own_service": ("scope",),
    "security": ("capabilities",),
    "service": ("type", "address"),
    "service_port": ("node_port",),
    "volume": ("keep", "class", "from"),
}
"""By definition of the schema, the keys within these that are not."""

_NARROWER: Mapping[tuple[str, ...], Mapping[str, Any]] = {
    ("any_image",): {
        "description": "A reference to an image of the bundle or of a registry.",
        "pattern": r"^(?!\w+://)[a-z0-9]\S*$",
        "patternErrorMessage": "must be an image reference: archives are for apps.yml to name",
    },
    ("config_files",): {"maxItems": 100},
    ("helm",): {"maxItems": 10},
    ("ingress", "properties", "rules"): {"maxItems": 100},
    ("job", "properties", "timeout"): {"maximum": LONGEST_JOBS},
    ("jobs",): {"maxProperties": 20},
    ("manifests",): {"maxItems": 50},
    ("prebuilt", "properties", "archive"): {
        "description": "The archive, as docker save or an OCI tool writes it, also compressed or "
        "unpacked as a folder: a path in the repository, seen from git_path.",
        "pattern": r"^(?!/)(?!(?:.*/)?\.\.(?:/|$)).+$",
        "patternErrorMessage": "must be a path inside the repository: others are for apps.yml",
        "examples": ["image.tar"],
    },
    ("processes",): {"maxProperties": 20},
    ("security", "properties", "run_as_user"): {"minimum": 1},
    ("service", "properties", "ports"): {"maxProperties": 50},
    ("services",): {"maxProperties": 20},
    ("volumes",): {"maxProperties": 20},
}
"""What of the schema is otherwise here, by where it is among the definitions."""

_REFERENCE = re.compile(r'"#/definitions/(\w+)"')

OF_SERVICES = {"pods": "0"}
"""The quota of what a repository brings along: it has a part of its app's, and adds none."""


@cache
def rules() -> dict[str, Any]:
    """The schema of the file, as editors use it too: what apps.schema.json has, without what is
    not the repository's to say.
    """
    definitions = copy.deepcopy(schema.schema()["definitions"])
    for way, changes in _NARROWER.items():
        rule = definitions
        for name in way:
            rule = rule[name]
        rule.update(changes)
    for name, keys in APPS_ONLY.items():
        for form in (definitions[name], *map(definitions[name].get, ("then", "else"), ({}, {}))):
            if known := form.get("properties"):
                form[schema.APPS_ONLY] = [key for key in keys if known.pop(key, None)]
    known = definitions.pop("app")["properties"]
    made = {
        "$schema": schema.schema()["$schema"],
        "title": f"Slipway's {FILE}",
        "description": f"What a repository says of its own app, where apps.yml has {KEY}: true.",
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^x-": {}},
        "properties": {key: known[key] for key in _SAID},
        schema.APPS_ONLY: [key for key in known if key not in _SAID],
    }
    return {**made, "definitions": _reached(made, definitions)}


def _reached(rule: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions that a rule refers to, directly or by others, in their order."""
    found: set[str] = set()
    new = {*_REFERENCE.findall(json.dumps(rule))}
    while new:
        found |= new
        new = {*_REFERENCE.findall(json.dumps([definitions[name] for name in new]))} - found
    return {name: each for name, each in definitions.items() if name in found}


@dataclass(frozen=True)
class Said:
    """What was found of an app's file: its ``content``, None without one; or why it is not known.

    ``head`` is the commit that was looked at, and ``heads`` are the newest commits of branches of
    the repository, as far as they were asked for.
    """

    content: bytes | None = None
    problem: str = ""
    head: str = ""
    heads: Mapping[str, str] = field(default_factory=dict)


def path_of(app: App) -> str:
    """Where the file of an app is in its repository."""
    return str(PurePosixPath(app.git_path, FILE))


def whose(app: App, head: str) -> str:
    """Which of all the files of this name an app's is."""
    return f"{app.git_url}, branch {app.git_branch} at {head[:7]}"


def read(said: Said, app: App, at: int) -> Document:
    """The file of an app, which is ``at`` a place of apps.yml; raises SlipwayError."""
    document = Document(PurePosixPath(path_of(app)), whose(app, said.head), ("apps", at))
    parse(said.content or b"", document, schema.kind_of, _MOST)
    document.value = {} if document.value is None else document.value
    return document


def unsound(document: Document) -> list[Finding]:
    """What is wrong with a file by itself."""
    return [*document.problems, *schema.mistakes(document, rules())]


def shown(document: Document, found: Iterable[Finding]) -> list[Problem]:
    """What is wrong with a file as it is told: by lines, and no more than anybody reads."""
    in_order = sorted(found, key=lambda each: document.line(each[0]))
    every = [*dict.fromkeys(problem for _, problem in in_order)]
    more = len(every) - MOST_PROBLEMS
    rest = [Problem(document.at(1), f"has at least {more} more problems")] if more > 0 else []
    return [*every[:MOST_PROBLEMS], *rest]


def mistakes(
    places: Places,
    said: Mapping[str, Any],
    app: Mapping[str, Any],
    others: Collection[str],
    secrets: Collection[str] | None,
) -> Iterator[Finding]:
    """What a sound file asks for that is not its app's; ``app`` are the settings with it.

    ``others`` are the names of all else that apps.yml has: by its name, an app is reached, and so
    are its passwords.
    """
    for name in services.of(said):
        if (whole := services.named(app["name"], name)) in others:
            what, fix = f"is {whole}, the name of another app", "give it another name"
            yield places.finding(("services", name), what, fix)
    own = {
        app["name"],
        *(
            services.named(app["name"], name)
            for name, each in services.of(app).items()
            if each.get("scope") != services.CLUSTER
        ),
    }
    parts: list[tuple[Place, Mapping[str, Any], str]] = [((), said, app["name"])]
    parts += [
        (("services", name), each, services.named(app["name"], name))
        for name, each in services.of(said).items()
    ]
    for top, part, name in parts:
        for setting, secret in _secrets(part):
            if not _is_granted(secret, name, secrets):
                what = f"names the secret {secret}, which is for no app in particular"
                fix = f"have the operator write apps: [{name}] in slipway_secrets.{secret}"
                yield places.finding((*top, *setting), what, fix)
        for setting, entry in _sources(part):
            if entry.get("app") == name:
                # An app that names itself means the one of another branch.
                what = f"is a password of {name} in another environment"
                yield places.finding((*top, *setting, "app"), what, "leave it out for the own one")
            elif entry.get("app", name) not in own:
                what = f"is a password of {entry['app']}"
                fix = "have whoever keeps apps.yml write it there, or name a service of the app"
                yield places.finding((*top, *setting, "app"), what, fix)
    if app.get("service", {}).get("type", CLUSTER_IP) != CLUSTER_IP and "ports" in said.get(
        "service", {}
    ):
        what = "opens ports to others than the cluster's pods, by the type that apps.yml gives"
        fix = "remove it, or have whoever keeps apps.yml write the ports there"
        yield places.finding(("service", "ports"), what, fix)
    times = {
        name: job.get("timeout", LONGEST_JOBS)
        for name, job in plain(said.get("jobs", {})).items()
        if "schedule" not in job
    }
    if (total := sum(times.values())) > LONGEST_JOBS:
        what = f"may have a run wait {total} s for {listed(list(times))}"
        fix = f"write a timeout for each, at most {LONGEST_JOBS} together"
        yield places.finding(("jobs",), what, fix)
    programs = [
        *(place for place, text in _texts((), said) if is_program(text)),
        *_filled_files(said),
    ]
    for place in programs[_MOST_PROGRAMS:]:
        what = f"is one of {len(programs)} templates that do more than name variables"
        yield places.finding(place, what, f"have at most {_MOST_PROGRAMS} of them")


def opened(places: Places, alone: App, app: App) -> Iterator[Finding]:
    """A port for routes, where apps.yml gives the Service to others than the cluster's pods.

    ``alone`` is the app as apps.yml has it.
    """
    if app.is_open and app.has_own_port and not alone.has_own_port:
        what = "has the service open one more port to others than the cluster's pods"
        fix = "remove it, or have whoever keeps apps.yml write the routes there"
        yield places.finding(("ingress",), what, fix)


def _is_granted(secret: str, app: str, secrets: Collection[str] | None) -> bool:
    """Whether a secret is meant for an app; of those that there are not, others tell."""
    if secrets is None or secret not in secrets:
        return True
    if not isinstance(secrets, Secrets):
        return False
    return secrets.is_for_some(secret) or not secrets.granted(secret, app)


def _secrets(part: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """The secrets that an app or a service names, each with its place."""
    for setting, entry in _sources(part):
        if "secret" in entry:
            yield (*setting, "secret"), entry["secret"]
    build = part.get("build")
    for tool, options in build.items() if isinstance(build, Mapping) else ():
        given = options.get("secrets", {}) if isinstance(options, Mapping) else {}
        for key, name in given.items():
            yield ("build", tool, "secrets", key), name


def _sources(part: Mapping[str, Any]) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The variables and files that come from elsewhere, each with its place."""
    for key, value in part.get("env", {}).items():
        if isinstance(value, Mapping):
            yield ("env", key), value
    for number, file in enumerate(part.get("config_files", ())):
        yield ("config_files", number), file


def _filled_files(said: Mapping[str, Any]) -> Iterator[Place]:
    """The config files of the repository that are templates: what they do is seen once read."""
    parts: list[tuple[Place, Mapping[str, Any]]] = [((), said)]
    parts += [(("services", name), each) for name, each in services.of(said).items()]
    for top, part in parts:
        for number, file in enumerate(part.get("config_files", ())):
            if "source" in file and file.get("template"):
                yield (*top, "config_files", number)


def _texts(place: Place, value: Any) -> Iterator[tuple[Place, str]]:
    """Every text in a value, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping | list):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _texts((*place, key), part)


class Ground:
    """What apps.yml gives to whom of hosts and paths.

    ``entries`` are those of apps.yml, each with what it and the defaults say of its routes, and
    with the app of its branch, or of one that its pattern matches; ``environments`` are all there
    are, in the same way, as apps.yml alone has them.
    """

    def __init__(
        self,
        entries: Iterable[tuple[Mapping[str, Any], App]],
        environments: Iterable[tuple[Mapping[str, Any], App]],
        domain: str,
    ) -> None:
        self._domain = domain
        self._apps: list[App] = []
        self._given: dict[str, list[App]] = defaultdict(list)
        self._owners: dict[str, set[str]] = defaultdict(set)
        self._samples: dict[tuple[str, str], App] = {}
        for ingress, app in entries:
            self._samples[app.name, app.pattern or app.git_branch] = app
            for host in hosts(ingress, app, domain):
                self._given[host].append(app)
                self._owners[host].add(app.name)
        for ingress, app in environments:
            self._apps.append(app)
            # A host that the name of its branch does not fill in is nobody's.
            with suppress(Unfilled):
                for host in hosts(ingress, app, domain):
                    self._owners[host].add(app.name)

    def mistakes(
        self, places: Places, ingress: Mapping[str, Any], own: Mapping[str, Any], app: App
    ) -> Iterator[Finding]:
        """What of an app's routes is not its repository's to say.

        ``ingress`` is what the app and its repository say together, and ``own`` what apps.yml says
        alone.
        """
        for number, rule in enumerate(app.rules):
            if self._is_given(app, rule.host, rule.path):
                continue
            given = ingress["rules"][number]
            place = ("rules", number, "host") if "host" in given else ("host",)
            if found := self._foreign(own, app, rule.host):
                yield places.finding(("ingress", *place), *found)
            elif found := self._beside(own, app, rule.host, rule.path):
                yield places.finding(("ingress", "rules", number, "path"), *found)

    def _is_given(self, app: App, host: str, path: str) -> bool:
        """Whether apps.yml itself gives a route to an environment."""
        return any(
            (rule.host, rule.path) == (host, path)
            for each in self._apps
            if each.id == app.id
            for rule in each.rules
        )

    def _foreign(self, own: Mapping[str, Any], app: App, host: str) -> tuple[str, str] | None:
        """What is wrong with a host, if it is none of an environment's."""
        if host in hosts(own, app, self._domain):
            return None
        others = self._owners.get(host, set()) - {app.name}
        others |= {
            each.name
            for each in self._apps
            if each.name != app.name and any(rule.host == host for rule in each.rules)
        }
        usual = f"{app.branch_slug}.{app.name}.{self._domain}"
        fix = f"write {usual}, a name below it, or have whoever keeps apps.yml give it to the app"
        if others:
            return f"{host} is the host of {min(others)}", fix
        if f".{host}".endswith(f".{usual}"):
            return None
        return f"{host} is no host of this environment's", fix

    def _beside(
        self, own: Mapping[str, Any], app: App, host: str, path: str
    ) -> tuple[str, str] | None:
        """What is wrong with a path of a host that is for others, too."""
        text = hosts(own, app, self._domain).get(host)
        if text is None:
            return None
        top = f"/{app.name}/{app.branch_slug}"
        fix = f"write {top}/ or what is below it, or have whoever keeps apps.yml give it to the app"
        sample = self._samples[app.name, app.pattern or app.git_branch]
        is_shared = len(self._given[_filled(text, sample, self._domain)]) > 1 or (
            app.pattern is not None and not tells_branches_apart(text)
        )
        if is_shared and not f"{path}/".startswith(f"{top}/"):
            return f"{path} is beside what others have at {host}", fix
        for each in self._apps:
            for rule in each.rules if each.name != app.name else ():
                if rule.host == host and f"{path}/".startswith(f"{rule.path.rstrip('/')}/"):
                    return f"{path} is, or is below, {rule.path} of {each.name} at {host}", fix
        return None


def hosts(ingress: Mapping[str, Any], app: App, domain: str) -> dict[str, str]:
    """The hosts that routes of an app have, each as it is written; raises Unfilled."""
    written = [rule["host"] for rule in ingress.get("rules", ()) if "host" in rule]
    texts = [*([ingress["host"]] if "host" in ingress else []), *written]
    return {_filled(text, app, domain): text for text in texts}


def _filled(text: str, app: App, domain: str) -> str:
    variables = {"name": app.name, "branch": app.git_branch, "branch_slug": app.branch_slug}
    return fill(text, {**variables, "namespace": app.namespace, "domain": domain})

"""``docs/apps.md``: every key of ``apps.yml``, as ``apps.schema.json`` describes it.

``slipway.schema.json`` is what of it a repository may say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from slipway.apps.plan import repository
from slipway.apps.plan.schema import APPS_ONLY

PROJECT = Path(__file__).parent.parent

TARGET = PROJECT / "docs" / "apps.md"

INTRODUCTION = """\
# apps.yml

What runs on the cluster: one entry for each branch of each service, or for each pattern of
branches. Editors with a YAML language server complete and check it by `apps.schema.json`; the
playbook does so too, before anything is changed. Keys that begin with `x-` are yours.

Whole files are in [examples](../examples), among them lessons to follow in order and a guestbook of
three tiers, which the tests deploy.

Values of env, build arguments, node_selector, resources, commands and expect need no quotes: 01067,
12:30, 1.10, yes and the like are text as they stand there, and only `~` and null are nothing. Other
text that YAML takes for something else is refused until it is in quotes, and so is a number that is
not in decimals. Values of charts are what Helm makes of them.

Where text may use names such as `{{ branch }}`, it is a template of Jinja: expressions `{{ ... }}`
are filled in and statements `{% ... %}` heeded, and all else stays to the letter. `{{ '{{' }}` and
`{{ '{%' }}` write the characters themselves.

This file is made by `docs/generate.py`.
"""

OWN_FILE = """\
## slipway.yml

What an app's repository says itself, on each branch as that branch has it. apps.yml lets it, by
[repository_settings](#repository_settings), and then says little more than where the app comes
from:

```yaml
version: 1
defaults:
  repository_settings: true
  ingress:
    host: "{{ branch_slug }}.{{ name }}.{{ domain }}"
apps:
  - name: orders
    git_url: https://git.example.org/shop/orders.git
    git_branch: feature/*
```

and the repository has, in the folder `git_path`, a `slipway.yml` with the rest:

```yaml
# yaml-language-server: $schema=https://example.org/slipway.schema.json
build: buildx
port: 8000
env:
  LOG_LEVEL: debug
processes:
  mailer: {command: [python3, -m, orders.mailer]}
services:
  db: {image: "docker.io/library/redis:8", port: 6379}
ingress:
  rules: [{path: /, expect: orders}]
```

A branch without the file is as apps.yml says. Its keys are those of an app, written at the top.
`slipway.schema.json`, beside `apps.schema.json`, is for editors.

* **Who wins.** What the app's entry in apps.yml says; then the file; then `defaults`. Maps that are
  merged there are merged here, key by key; of all else, the entry's replaces the file's.
* **What is wrong with it** is the failure of that branch alone, all at once, each with branch,
  commit and line. What served before serves on, and so do the others.
* **Secrets** are those that name the app in `slipway_secrets` (`apps: [orders]`,
  [secrets.md](secrets.md)). Passwords are the app's own and those of its services.
* **Hosts** are those that apps.yml gives to the app (`ingress: {host: ...}` of its entry or of the
  defaults, for which it needs no rules then), and `<branch_slug>.<name>.<domain>` with all names
  below it. At a host that other apps or branches have as well, paths begin with
  `/<name>/<branch_slug>/`. None may be below one that apps.yml gives to another app.
* **Services**, 20 at most, live on the quota that their app has. Routes are 100 at most.
* **How much**: 256 KiB, 10,000 values and a million characters with all that aliases stand for, and
  20 templates that do more than name variables. A link within the repository is followed.
* `make plan` fetches nothing: of a commit that is not here yet, it shows what apps.yml alone says,
  and says so. `make dev` takes the file up as it is saved.

What a file may not say, because [everybody writes it who can push](security.md#slipwayyml):
"""

_PLACES = {
    "certificate": "certificate",
    "config_file": "config_files",
    "env_value": "env",
    "helm_release": "helm",
    "manifest": "manifests",
    "own_service": "services",
    "security": "services.security",
    "service": "service",
    "service_port": "service.ports",
    "volume": "volumes",
}
"""Where users find what has a definition of its own in the schema."""

NARROWER = """\
* archives of this machine as `base_image` or in `build`, `jobs` without a `schedule` that may take
  more than 600 seconds together, and root as the user of a service
* more than 20 `services`, `processes`, `jobs` or `volumes`, 50 `manifests` or `ports`, 10 charts in
  `helm`, 100 `config_files` or routes
* the `ports` of a `service` to which apps.yml gives an address or ports of the nodes, and
  the first routes of one whose ports apps.yml names
"""

Schema = Mapping[str, Any]


def document() -> str:
    """The whole file."""
    schema = json.loads((PROJECT / "apps.schema.json").read_text(encoding="utf-8"))
    return "\n".join([INTRODUCTION, *_Keys(schema).sections()])


SCHEMA = PROJECT / "slipway.schema.json"


def own_schema() -> str:
    """The schema of what a repository may say, for editors."""
    return json.dumps(repository.rules(), indent=2) + "\n"


def _own_file() -> Iterator[str]:
    """What a repository may say of its app, and what it may not."""
    rules = repository.rules()
    yield OWN_FILE
    yield f"* {_listed(rules[APPS_ONLY])}"
    for name, keys in repository.APPS_ONLY.items():
        yield f"* in `{_PLACES[name]}`: {_listed(keys)}"
    yield NARROWER


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


class _Keys:
    """The keys of a schema, section by section."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def sections(self) -> Iterator[str]:
        """The top of the file, then each key of an app."""
        top = self._schema["properties"]
        yield "## The file\n"
        yield from self._table(top)
        yield "## An app\n"
        for name, rule in self._schema["definitions"]["app"]["properties"].items():
            yield from self._section(name, self._resolved(rule))
        yield from _own_file()
        yield "## A host\n"
        yield from self._table(self._schema["definitions"]["host_settings"]["properties"])

    def _section(self, name: str, rule: Schema) -> Iterator[str]:
        yield f"### {name}\n"
        default = f" By default `{_inline(rule['default'])}`." if rule.get("default") else ""
        yield f"{rule['description']}{default}\n"
        for example in rule.get("examples", ()):
            text = yaml.safe_dump({name: example}, sort_keys=False, width=100)
            yield "\n".join(["```yaml", text.rstrip(), "```", ""])
        yield from self._table(self._inner(rule))

    def _table(self, properties: Schema, prefix: str = "") -> Iterator[str]:
        """A table of keys, with the keys that they hold below them; nothing without keys."""
        rows = list(self._rows(properties, prefix))
        if rows:
            yield "\n".join(["| Key | Default | Meaning |", "|---|---|---|", *rows, ""])

    def _rows(self, properties: Schema, prefix: str) -> Iterator[str]:
        for name, given in properties.items():
            rule = self._resolved(given)
            default = f"`{_inline(rule['default'])}`" if "default" in rule else ""
            cells = (f"`{prefix}{name}`", default, rule["description"])
            yield "| {} |".format(" | ".join(cell.replace("|", "\\|") for cell in cells))
            if prefix or properties is not self._schema["properties"]:
                yield from self._rows(self._inner(rule), f"{prefix}{name}.")

    def _inner(self, rule: Schema) -> Schema:
        """The keys of a mapping, or of what a list or a choice of forms holds."""
        if rule.get("type") == "array":
            return self._inner(self._resolved(rule["items"]))
        forms = (rule, rule.get("then", {}), rule.get("else", {}))
        found = {key: value for form in forms for key, value in form.get("properties", {}).items()}
        values = rule.get("additionalProperties")
        return found or (self._inner(self._resolved(values)) if values else {})

    def _resolved(self, rule: Schema) -> Schema:
        """The rule with what it refers to, its own words first."""
        references = [rule, *rule.get("allOf", ())]
        found: dict[str, Any] = {}
        for each in references:
            if "$ref" in each:
                name = each["$ref"].rsplit("/", 1)[-1]
                found = {**self._resolved(self._schema["definitions"][name]), **found}
        return {**found, **{key: value for key, value in rule.items() if key != "$ref"}}


def _inline(value: Any) -> str:
    """A value on one line, as it is written in YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
    return text.removesuffix("...").strip()

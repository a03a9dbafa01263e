"""``docs/apps.md``: every key of ``apps.yml``, as ``apps.schema.json`` describes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent.parent

TARGET = PROJECT / "docs" / "apps.md"

INTRODUCTION = """\
# apps.yml

What runs on the cluster: one entry for each branch of each service, or for each pattern of
branches. Editors with a YAML language server complete and check it by `apps.schema.json`; the
playbook does so too, before anything is changed. Keys that begin with `x-` are yours.

Whole files are in [examples](../examples).

Values of env, build arguments, node_selector, resources, commands and expect need no quotes: 01067,
12:30, 1.10, yes and the like are text as they stand there, and only `~` and null are nothing. Other
text that YAML takes for something else is refused until it is in quotes, and so is a number that is
not in decimals. Values of charts are what Helm makes of them.

Where text may use names such as `{{ branch }}`, it is a template of Jinja: expressions `{{ ... }}`
are filled in and statements `{% ... %}` heeded, and all else stays to the letter. `{{ '{{' }}` and
`{{ '{%' }}` write the characters themselves.

This file is made by `docs/generate.py`.
"""

Schema = Mapping[str, Any]


def document() -> str:
    """The whole file."""
    schema = json.loads((PROJECT / "apps.schema.json").read_text(encoding="utf-8"))
    return "\n".join([INTRODUCTION, *_Keys(schema).sections()])


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

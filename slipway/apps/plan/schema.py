"""apps.schema.json applied to apps.yml, with each mistake said in words."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from slipway.apps.plan.places import Finding, Places, setting_at
from slipway.apps.plan.yaml_lines import Document, Kind, Place
from slipway.errors import Problem
from slipway.secrets import MASK

SCHEMA_FILE = Path(__file__).resolve().parents[3] / "apps.schema.json"

_TYPES = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "a boolean",
    int: "a number",
    float: "a number with a fraction",
}
_TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}

_DEFINITIONS = {"rewrite": "path"}
"""Settings whose definition has another name."""

_OF_NAMES = ("hosts", "registry_auth", "processes", "jobs", "services", "volumes", "ports")
"""Settings whose keys are names that the user gives; none of them is for notes."""

_OPEN = r"\{\{|"
"""How the pattern of a setting begins that may be a template, which is looked at once filled in."""


def _pattern(_: object, pattern: str, value: Any, __: object) -> Iterator[ValidationError]:
    """The schema's ``$`` is the end of a text, as in editors; Python's is a newline there too."""
    if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _minimum(_: object, least: float, value: Any, __: object) -> Iterator[ValidationError]:
    """What is no number to YAML either (``.nan``) is not at least anything."""
    if isinstance(value, int | float) and not value >= least:
        yield ValidationError(f"{value!r} is less than {least}")


APPS_ONLY = "x-apps-only"
"""Under what the rules of a file have the keys of apps.yml that are not for it."""

_Validator = extend(Draft7Validator, {"pattern": _pattern, "minimum": _minimum})


@cache
def schema() -> dict[str, Any]:
    """The schema, as editors use it too."""
    loaded: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return loaded


def default(setting: str) -> Any:
    """The schema's default for a setting of an app (``port``), or None when it has none."""
    return schema()["definitions"][setting].get("default")


def kind_of(place: Place) -> Kind:
    """What a word without quotes may be at a place of apps.yml."""
    if any(_is_free(*pair) for pair in pairwise((None, *place))):
        return Kind.TEXT
    match setting_at(place)[1]:
        case (
            ("env" | "node_selector", _)
            | ("command", _)
            | ("processes" | "jobs", _, "command", _)
            | ("processes" | "jobs", _, "resources", _, _)
            | ("resources", _, _)
            | ("build", _, "args", _)
            | ("probes", _, "command", _)
            | ("ingress", "rules", _, "expect")
        ):
            return Kind.TEXT
        case ("helm", _, "values", *_):
            return Kind.ANY
        case _:
            return Kind.PLAIN


def _is_free(mapping: object, key: object) -> bool:
    """Whether a key of a mapping is the user's own, and no name of something."""
    return isinstance(key, str) and key.startswith("x-") and mapping not in _OF_NAMES


def mistakes(
    document: Document, rules: Mapping[str, Any] | None = None
) -> list[tuple[Place, Problem]]:
    """What the schema, or other ``rules``, have against a document, each with its place.

    A value of the wrong type is reported for that alone, and one that was reported already is not.
    """
    known = {place for place, _ in document.problems}
    errors = [
        error
        for error in _Validator(rules or schema()).iter_errors(document.value)
        if isinstance(error.instance, dict | list) or _place(error, document) not in known
    ]
    mistyped = {_place(error, document) for error in errors if error.validator == "type"}
    return [
        found
        for error in errors
        if error.validator == "type" or _place(error, document) not in mistyped
        for found in _problems(error, document)
    ]


def setting_mistakes(
    places: Places, setting: Place, value: Any, name: str = ""
) -> Iterator[Finding]:
    """What the schema has against a value that a setting has once its template is filled in.

    The definition is the one of this ``name``, or that of the setting's last key: ``path`` for
    ``("ingress", "host", "path")``.
    """
    name = name or str(setting[-1])
    definition = dict(schema()["definitions"][_DEFINITIONS.get(name, name)])
    # Braces that are still there came with the value, and are just characters.
    definition["pattern"] = definition["pattern"].removeprefix(_OPEN)
    for error in _Validator(definition).iter_errors(value):
        yield places.finding(setting, *_words(error))


def _place(error: ValidationError, document: Document) -> Place:
    return (*document.root, *error.absolute_path)


def _problems(error: ValidationError, document: Document) -> Iterator[tuple[Place, Problem]]:
    """A schema error in words; one for each key when it is about keys."""
    place = _place(error, document)
    if error.validator == "additionalProperties":
        for key in _unknown_keys(error):
            where = document.where((*place, key))
            yield (*place, key), Problem(where, *_key_words(key, error.schema))
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                fix = f"add {key}: {_example(error.schema['properties'][key])}"
                yield place, Problem(document.where(place), f"lacks the key {key}", fix)
    else:
        if "propertyNames" in error.absolute_schema_path:
            place = (*place, error.instance)
        what, fix = _words(error, document.words.get(place, ""))
        yield place, Problem(document.where(place), what, fix)


def _unknown_keys(error: ValidationError) -> list[str]:
    known = error.schema["properties"]
    return [key for key in error.instance if key not in known and not key.startswith("x-")]


def _key_words(key: str, rule: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with a key that is not known here, and what to do about it."""
    if key in rule.get(APPS_ONLY, ()):
        fix = "remove it, or have whoever keeps apps.yml write it there"
        return "is not the repository's to say", fix
    return "unknown key", _nearest(key, rule["properties"])


def _nearest(key: str, known: Iterable[str]) -> str:
    """The key that was probably meant, or all that there are."""
    names = list(known)
    close = difflib.get_close_matches(key.lower().replace("-", "_"), names, n=1)
    return f"write {close[0]}" if close else f"the keys here are {', '.join(names)}"


def _words(error: ValidationError, written: str = "") -> tuple[str, str]:
    """What is wrong and what to do about it; ``written`` is how a value stands in the file."""
    value, wanted, rule = error.instance, error.validator_value, error.schema
    what = f"is {_shown(value)}"
    if rule.get("writeOnly"):  # who mistakes the name of a secret for its value has written that
        what, written = f"is {MASK}", written and MASK
    match error.validator:
        case "type":
            return _type_words(
                value, [wanted] if isinstance(wanted, str) else wanted, rule, written
            )
        case "enum":
            known = [str(each) for each in wanted]
            close = difflib.get_close_matches(str(value), known, n=1)
            return what, f"write {close[0]}" if close else f"choose {' or '.join(known)}"
        case "const":
            return what, f"write {wanted}"
        case "pattern":
            return what, f"{rule['patternErrorMessage']}{_for_example(rule)}"
        case "oneOf":
            complete = sum(all(key in value for key in each["required"]) for each in wanted)
            wrong = ("lacks a key", "has a key that is for something else", "has both keys")
            return wrong[min(complete, 2)], rule["errorMessage"]
        case "minimum" | "maximum":
            return (
                what,
                f"must be at {'least' if error.validator == 'minimum' else 'most'} {wanted}",
            )
        case "maxLength":
            return f"{what}, {len(value)} characters", f"must have at most {wanted} characters"
        case "maxProperties" | "maxItems":
            return f"has {len(value)} entries", f"may have {wanted}"
        case _:  # minLength, minItems, minProperties
            return "is empty", f"give it a value or remove it{_for_example(rule)}"


def _type_words(
    value: Any, types: Sequence[str], rule: Mapping[str, Any], written: str
) -> tuple[str, str]:
    """What is wrong with a value of the wrong type."""
    quotes = f"write it in quotes, '{written:.60}'"
    if value is None:
        fix = f"give it a value or remove it{_for_example(rule)}"
        if not written:
            return "is empty", fix
        mend = f"{quotes}, if it is text, or {fix}" if "string" in types else fix
        return f"is {written}, which is nothing to YAML", mend
    given = _TYPES.get(type(value), "a date or another special value of YAML")
    shown = MASK if rule.get("writeOnly") else written[:60] or _shown(value)
    what = f"is {shown}, which YAML reads as {given}"
    if written and types == ["string"]:
        return what, quotes
    names = " or ".join(_TYPE_NAMES[name] for name in types)
    return what, rule.get("errorMessage") or f"must be {names}{_for_example(rule)}"


def _shown(value: Any) -> str:
    """A value as it would be written on one line, cut when it is long."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return repr(text) if isinstance(value, str) and len(text) <= 60 else f"{text:.60}"


def _for_example(rule: Mapping[str, Any]) -> str:
    return f", for example {_example(rule)}" if rule.get("examples") else ""


def _example(rule: Mapping[str, Any]) -> str:
    """The first example of a rule, or of what it refers to."""
    while "$ref" in rule:
        rule = schema()["definitions"][rule["$ref"].rsplit("/", 1)[-1]]
    examples = rule.get("examples") or ["..."]
    return examples[0] if isinstance(examples[0], str) else json.dumps(examples[0])

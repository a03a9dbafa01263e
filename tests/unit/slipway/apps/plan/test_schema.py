"""The schema of apps.yml."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft7Validator

from slipway.apps.plan import schema


def test_schema_is_a_schema_whose_examples_and_defaults_hold() -> None:
    whole = schema.schema()
    Draft7Validator.check_schema(whole)

    def parts(part: Any) -> Any:
        if isinstance(part, dict):
            yield part
            for value in part.values():
                yield from parts(value)

    shown = [
        (part, value)
        for part in parts(whole)
        for value in [*part.get("examples", ()), *([part["default"]] if "default" in part else ())]
        if "type" in part or "$ref" in part or "enum" in part or "const" in part
    ]
    assert len(shown) > 30
    for part, value in shown:
        Draft7Validator({**part, "definitions": whole["definitions"]}).validate(value)


def test_schema_refuses_unknown_keys_everywhere_and_leaves_x_keys_free() -> None:
    def objects(part: Any, place: str) -> Any:
        if isinstance(part, dict):
            if isinstance(part.get("properties"), dict) and "additionalProperties" in part:
                yield place, part
            for key, value in part.items():
                yield from objects(value, f"{place}/{key}")

    found = dict(objects(json.loads(schema.SCHEMA_FILE.read_text()), ""))
    assert len(found) >= 9
    for place, part in found.items():
        assert part["additionalProperties"] is False, place
        assert "^x-" in part["patternProperties"], place
        assert all("$ref" in value or value["description"] for value in part["properties"].values())

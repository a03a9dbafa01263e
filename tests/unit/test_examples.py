"""What the documentation and the examples say of apps.yml is what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from slipway.apps.plan import schema
from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError

PROJECT = Path(__file__).parents[2]
FILES = [PROJECT / "apps.yml", *sorted((PROJECT / "examples").glob("*.yml"))]
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]

FENCED = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^(?: {4}.*)?\n)+", re.MULTILINE)
TOP_KEYS = re.compile(r"^(?:version|hosts|defaults|apps):", re.MULTILINE)


def blocks() -> Iterator[tuple[str, str]]:
    """The blocks of YAML in the documents that are an apps.yml, or a part of one."""
    for path in DOCUMENTS:
        text = path.read_text()
        indented = (re.sub("^ {4}", "", block, flags=re.M) for block in INDENTED.findall(text))
        for number, block in enumerate([*FENCED.findall(text), *indented]):
            if TOP_KEYS.search(block):
                yield f"{path.name} {number}", block


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_samples_are_sound(path: Path) -> None:
    plan(path)


@pytest.mark.parametrize("block", [pytest.param(text, id=name) for name, text in blocks()])
def test_documentation_is_sound(block: str, tmp_path: Path) -> None:
    path = tmp_path / "apps.yml"
    parts = {"version": 1, "apps": [], **yaml.safe_load(block)}
    path.write_text(yaml.safe_dump(parts))
    plan(path)


def test_there_is_documentation_to_check() -> None:
    assert list(blocks())


def test_a_sample_with_a_mistake_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "apps.yml"
    path.write_text(FILES[1].read_text().replace("git_url", "git_ulr", 1))
    with pytest.raises(SlipwayError, match="write git_url"):
        plan(path)


@pytest.mark.parametrize("name", schema.schema()["definitions"]["app"]["properties"])
def test_every_key_has_a_sound_example(name: str) -> None:
    rule = {"$ref": f"#/definitions/{name}", "definitions": schema.schema()["definitions"]}
    examples = schema.schema()["definitions"][name]["examples"]
    assert examples
    for example in examples:
        Draft7Validator(rule).validate(example)

"""What the documentation and the examples say of apps.yml is what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from slipway.apps.plan import repository, schema
from slipway.apps.plan.plan import plan
from slipway.control_node import tools
from slipway.errors import SlipwayError
from tests.support.checkout import PROJECT

EXAMPLES = PROJECT / "examples"
FILES = [
    PROJECT / "apps.yml",
    *sorted(path for path in EXAMPLES.rglob("*.yml") if path.parent.name != "ci"),
]
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_samples_are_sound(path: Path) -> None:
    plan(path)


@pytest.mark.parametrize("block", [pytest.param(text, id=name) for name, text in blocks()])
def test_documentation_is_sound(block: str, tmp_path: Path) -> None:
    path = tmp_path / "apps.yml"
    parts = {"version": 1, "apps": [], **yaml.safe_load(block)}
    path.write_text(yaml.safe_dump(parts))
    plan(path)


def test_what_the_documentation_has_a_repository_say_is_sound() -> None:
    text = (PROJECT / "docs" / "apps.md").read_text()
    [own] = [block for block in FENCED.findall(text) if "slipway.schema.json" in block]
    Draft7Validator(repository.rules()).validate(yaml.safe_load(own))


def test_there_is_documentation_to_check() -> None:
    assert list(blocks())


@pytest.mark.parametrize("folder", ["", "lessons"])
def test_examples_are_all_named_where_one_looks_for_them(folder: str) -> None:
    there = {path.name for path in (EXAMPLES / folder).iterdir()} - {"README.md"}
    named = re.findall(r"\]\(([^/)]+)\)", (EXAMPLES / folder / "README.md").read_text())
    assert {*named} == there


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


CLOUD_INIT = EXAMPLES / "vm" / "cloud-init.yaml"
LIMA = EXAMPLES / "vm" / "lima.yaml"


def packages_of(path: Path) -> set[str]:
    """What a virtual machine gets installed."""
    file = yaml.safe_load(path.read_text())
    if path == CLOUD_INIT:
        return set(file["packages"])
    script = file["provision"][0]["script"].replace("\\\n", " ")
    (line,) = (line for line in script.splitlines() if line.startswith("apt-get install"))
    return {word for word in line.split()[2:] if not word.startswith("-")}


@pytest.mark.parametrize("path", [CLOUD_INIT, LIMA], ids=lambda path: path.name)
def test_a_virtual_machine_has_what_a_run_needs_and_make(path: Path) -> None:
    packages = packages_of(path)
    choices = [choice for name in tools.OF_A_RUN for choice in tools.TOOLS[name].packages]
    assert [choice for choice in choices if not packages & {*choice.split(" | ")}] == []
    assert "make" in packages


def test_virtual_machines_have_the_same() -> None:
    assert packages_of(CLOUD_INIT) == packages_of(LIMA)


def test_the_workflow_s_apps_are_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = yaml.safe_load((EXAMPLES / "ci/github-actions.yml").read_text())
    steps = workflow["jobs"]["serve"]["steps"]
    (script,) = (step["run"] for step in steps if step.get("shell") == "python")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("BRANCH", 'feature/"loud"')
    exec(script, {})
    (app,) = plan(tmp_path / "apps.yml")
    assert (app.git_url, app.git_branch) == (f"{tmp_path}/service", 'feature/"loud"')

"""The pages for those who work on the project say what is in it, and their links lead somewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeGuard
from urllib.parse import unquote

import pytest
import yaml

from tests.support.checkout import PROJECT

ARCHITECTURE = PROJECT / "docs" / "architecture.md"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "ingress/*.md", "tests/**/*.md")
    for path in PROJECT.glob(pattern)
    if ".venv" not in path.parts
)

YOURS = ("inventory/yours", "group_vars/all/vault.yml", ".slipway/")
"""What users make, or runs in this checkout, and pages name."""

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_NAMED = re.compile(r"`([\w./-]+/[\w./-]*)`")


def tables(page: Path, mark: str) -> list[list[str]]:
    """The cells of the table below a comment that begins with a mark, without its head."""
    (_before, _mark, after) = page.read_text().partition(f"<!-- {mark}:")
    lines = [line for line in after.split("\n\n")[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def links(text: str) -> list[str]:
    """Where the links of a text lead."""
    return _LINK.findall(text)


def linked(cell: str) -> Path:
    """The file that a cell of the architecture links to."""
    (target,) = links(cell)
    return (ARCHITECTURE.parent / target).resolve()


class Step(NamedTuple):
    """A row of the table of steps."""

    name: str
    playbook: str
    task_file: str
    module: str
    library: str
    outcome: str


STEPS = [Step(*cells) for cells in tables(ARCHITECTURE, "steps")]


def each_step(*names: str) -> pytest.MarkDecorator:
    """Run a test for every step but those that are named."""
    steps = [step for step in STEPS if step.name not in names]
    return pytest.mark.parametrize("step", steps, ids=[step.name for step in steps])


def test_every_task_file_of_the_apps_is_a_step_of_the_table() -> None:
    files = sorted((PROJECT / "roles" / "apps" / "tasks").glob("*.yml"))
    assert sorted(linked(step.task_file) for step in STEPS) == files
    assert [step.name for step in STEPS] == [linked(step.task_file).stem for step in STEPS]


@each_step()
def test_a_step_is_in_the_play_that_the_table_names(step: Step) -> None:
    plays = yaml.safe_load(linked(step.playbook).read_text())
    (play,) = (each for each in plays if each["name"] == step.playbook.partition(": ")[2])
    imports = [task.get("ansible.builtin.import_role", {}) for task in play["tasks"]]
    assert step.name in [each.get("tasks_from") for each in imports if each.get("name") == "apps"]


@each_step("report")
def test_a_step_s_task_has_the_module_that_the_table_names(step: Step) -> None:
    tasks = yaml.safe_load(linked(step.task_file).read_text())
    module = linked(step.module)
    assert module.is_file()
    assert module.stem in tasks[0]


@each_step("report")
def test_a_step_s_action_uses_the_file_of_the_library_that_the_table_names(step: Step) -> None:
    action = PROJECT / "plugins" / "action" / linked(step.module).name
    library = linked(step.library).relative_to(PROJECT).with_suffix("")
    assert f"from {'.'.join(library.parts)} import" in action.read_text()


DECISIONS = sorted((PROJECT / "docs" / "decisions").glob("[0-9]*.md"))
TEMPLATE = DECISIONS[0]


def headings(page: Path) -> list[str]:
    """The headings below a page's title."""
    return re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("decision", DECISIONS[1:], ids=[path.stem for path in DECISIONS[1:]])
def test_a_decision_is_told_after_the_template_and_is_in_the_list(decision: Path) -> None:
    title, _, status = decision.read_text().splitlines()[:3]
    number, _, said = title.removeprefix("# ").partition(": ")
    assert decision.name.startswith(f"{number}-")
    assert headings(decision) == headings(TEMPLATE)
    dated = re.fullmatch(r"\d{4}-\d\d-\d\d\. (Accepted|Proposed|Replaced by .*)\.", status)
    assert dated
    row = f"| {number} | [{said}]({decision.name}) | {dated[1].lower()} |"
    assert row in (TEMPLATE.parent / "README.md").read_text()


def broken(page: Path) -> Iterator[str]:
    """The links of a page to what the project does not have."""
    for target in links(page.read_text()):
        path = unquote(target.partition("#")[0])
        if path and "://" not in path and not (page.parent / path).exists():
            yield target


def private_names(*paths: Path) -> set[str]:
    """The private attributes that files use and do not define themselves."""
    used, own = set(), set()
    for node in (node for path in paths for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.FunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [each for target in targets for each in ast.walk(target)]
            own |= {each.id for each in names if isinstance(each, ast.Name)}
            own |= {each.attr for each in names if _is_of_self(each)}
        elif isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr):
            used.add(node.attr)
    return used - own


def _is_of_self(node: ast.AST) -> TypeGuard[ast.Attribute]:
    value = node.value if isinstance(node, ast.Attribute) else None
    return isinstance(value, ast.Name) and value.id == "self"


def test_what_is_used_of_ansible_s_internals_is_in_the_decision_about_it() -> None:
    (decision,) = (path for path in DECISIONS if path.stem.endswith("internals-of-ansible"))
    text = decision.read_text()
    files = [*(PROJECT / "plugins").rglob("*.py"), PROJECT / "slipway" / "action_plugin.py"]
    untold = {name for name in private_names(*files) if not re.search(rf"\b{name}\b", text)}
    assert untold == set()


def each_page(*, but: str = "") -> pytest.MarkDecorator:
    """Run a test for every page but the one of a name."""
    pages = [page for page in PAGES if page.name != but]
    return pytest.mark.parametrize("page", pages, ids=[f"{p.relative_to(PROJECT)}" for p in pages])


def lacking(page: Path) -> Iterator[str]:
    """What a page names as a file or folder of the project, that is not there.

    That are paths that begin with a folder of the project; they may be seen from the page, too.
    """
    tops = {path.name for path in PROJECT.iterdir() if path.is_dir()}
    for path in _NAMED.findall(page.read_text()):
        found = (PROJECT / path).exists() or (page.parent / path).exists()
        if path.split("/")[0] in tops and not (found or path.startswith(YOURS)):
            yield path


@each_page(but="CHANGELOG.md")  # it names what was, too
def test_what_a_page_names_of_the_project_is_there(page: Path) -> None:
    assert [*lacking(page)] == []


@each_page()
def test_what_a_page_links_to_is_there(page: Path) -> None:
    assert [*broken(page)] == []


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](page.md) [b](gone.md#part) [c](https://example.com/x) [d](#part)")
    assert [*broken(page)] == ["gone.md#part"]

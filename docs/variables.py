"""``docs/variables.md``: every variable, from where each is described.

Those of a role are described in its ``meta/argument_specs.yml`` and have their values in its
``defaults/main.yml``; those of all roles are described by comments in ``group_vars/all``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent.parent

TARGET = PROJECT / "docs" / "variables.md"

LONGEST = 60
"""Characters of a default that the table shows; a longer one is read where it is set."""

INTRODUCTION = """\
# Variables

What is the same for all machines goes into `group_vars` or on the command line (`-e name=value`),
what is true of one machine into the inventory.

This file is made by `docs/generate.py`.
"""


@dataclass(frozen=True)
class Variable:
    """One row: ``default`` is None for a variable that has to be set."""

    name: str
    type: str
    default: object
    required: bool
    description: str


@dataclass(frozen=True)
class Section:
    """Variables that are described together."""

    title: str
    text: str
    source: str
    variables: tuple[Variable, ...]


def comments(text: str) -> dict[str, str]:
    """The comment above each variable of a YAML file, as one line.

    Variables without an empty line between them share a comment.
    """
    found: dict[str, str] = {}
    comment: list[str] = []
    fresh = True  # whether the next comment line begins another comment
    for line in text.splitlines():
        if variable := re.match(r"(\w+):", line):
            found[variable[1]] = " ".join(comment)
            fresh = True
        elif line.startswith("# "):
            comment = [line[2:]] if fresh else [*comment, line[2:]]
            fresh = False
        elif not line.strip():
            comment, fresh = [], True
    return found


def described(text: Any) -> str:
    """A description of an argument specification, which may be several paragraphs, as one line."""
    return " ".join(text if isinstance(text, list) else [text or ""])


def entries(role: Path) -> dict[str, Any]:
    """The argument specifications of a role, by the task file that each is for."""
    text = (role / "meta" / "argument_specs.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)["argument_specs"]
    return found


def options(role: Path) -> dict[str, Any]:
    """The variables of a role, as its argument specifications have them."""
    return {
        name: option
        for entry in entries(role).values()
        for name, option in entry["options"].items()
    }


def role_section(folder: Path) -> Section:
    """The variables of one role."""
    path = folder / "defaults" / "main.yml"
    defaults = (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
    variables = tuple(
        Variable(
            name=name,
            type=f"{option['type']} of {option['elements']}"
            if "elements" in option
            else option["type"],
            default=defaults.get(name),
            required=option.get("required", False),
            description=described(option["description"]),
        )
        for name, option in options(folder).items()
    )
    text = "\n".join(_about(*entry) for entry in entries(folder).items())
    source = path.relative_to(PROJECT).as_posix()
    return Section(f"Role `{folder.name}`", text, source, variables)


def _about(name: str, entry: dict[str, Any]) -> str:
    """What a task file is for: a paragraph of a role that has one alone, or an item of a list."""
    text = f"{entry['short_description']}. {described(entry.get('description'))}".strip()
    return text if name == "main" else f"* `{name}`: {text}"


def shared_section(path: Path, title: str) -> Section:
    """The variables of one file of ``group_vars/all``."""
    text = path.read_text()
    about = comments(text)
    variables = tuple(
        Variable(name, type(value).__name__, value, required=False, description=about[name])
        for name, value in yaml.safe_load(text).items()
    )
    return Section(title, "", path.relative_to(PROJECT).as_posix(), variables)


def sections() -> Iterator[Section]:
    """Everything there is, what concerns all roles first."""
    folder = PROJECT / "group_vars" / "all"
    yield shared_section(folder / "settings.yml", "Shared by the roles")
    yield shared_section(folder / "versions.yml", "Versions")
    for path in sorted(PROJECT.glob("roles/*/meta/argument_specs.yml")):
        yield role_section(path.parent.parent)


def shown(variable: Variable, source: str) -> str:
    """The default as the table has it."""
    if variable.required:
        return "has to be set"
    text = yaml.safe_dump(variable.default, default_flow_style=True, width=10_000).strip()
    text = text.removesuffix("...").strip()  # YAML's end mark after a lone value
    if isinstance(variable.default, str) and variable.default:
        text = variable.default
    if len(text) > LONGEST or "\n" in text:
        return f"see [{source}](../{source})"
    return f"`{text}`"


def rendered(section: Section) -> str:
    """One section as Markdown."""
    lines = [f"## {section.title}", ""]
    if section.text:
        lines += [section.text, ""]
    if not section.variables:
        return "\n".join([*lines, "There is nothing to set.", ""])
    lines += ["| Variable | Type | Default | Meaning |", "|---|---|---|---|"]
    for variable in section.variables:
        default = shown(variable, section.source)
        meaning = variable.description.replace("<", "&lt;")
        cells = (f"`{variable.name}`", variable.type, default, meaning)
        lines.append("| {} |".format(" | ".join(cell.replace("|", "\\|") for cell in cells)))
    return "\n".join([*lines, ""])


def document() -> str:
    """The whole file."""
    return "\n".join([INTRODUCTION, *map(rendered, sections())])

"""What an app has at each stage, as its types say: on a page, and in what modules return."""

from __future__ import annotations

import ast
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from slipway.apps import app
from slipway.apps.app import App, Built, Sourced

PROJECT = Path(__file__).parent.parent

ARCHITECTURE = PROJECT / "docs" / "architecture.md"

STAGES: dict[str, type[App]] = {"plan": App, "source": Sourced, "build": Built}
"""The type that each of the steps makes."""

LATER = ("failed", "held")
"""What steps may add at any stage."""

RETURNED = {
    "apps_plan": ("plan",),
    "apps_source": ("source", "failed"),
    "apps_build": ("build", "failed"),
    "apps_deploy": LATER,
    "apps_verify": LATER,
}
"""By module, the stages and the fields that are new in the apps that it returns."""

_MARK = "<!-- stages: made by docs/generate.py -->\n\n"
_TABLE = re.compile(f"(?<={_MARK}).*?(?=\n\n)", re.DOTALL)
_CONTAINS = re.compile(r"(?<=\napps:\n)(.*?  contains:\n)(.*?)(?=^\S|\Z)", re.DOTALL | re.MULTILINE)
_RETURN = re.compile(r'(?<=\nRETURN = r""")(.*?)(?=""")', re.DOTALL)


@dataclass(frozen=True)
class Field:
    """A field of a stage, with its type in Ansible's words."""

    name: str
    type: str
    description: str


def fields(stage: type[Struct]) -> list[Field]:
    """What a stage adds to the one before; the first has what it inherits, too."""
    classes: list[type[Struct]] = [app.Environment, App] if stage is App else [stage]
    return [field for each in classes for field in _own(each)]


def _own(stage: type[Struct]) -> Iterator[Field]:
    source = ast.parse(Path(app.__file__).read_text(encoding="utf-8"))
    (body,) = (
        node.body
        for node in source.body
        if isinstance(node, ast.ClassDef) and node.name == stage.__name__
    )
    hints = typing.get_type_hints(stage)
    for at, line in enumerate(body):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            said = body[at + 1]
            assert isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant)
            name = line.target.id
            yield Field(name, _type(hints[name]), " ".join(str(said.value.value).split()))


def _type(hint: Any) -> str:
    """A type in the words of Ansible's documentation."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        found = {_type(each) for each in typing.get_args(hint) if each is not type(None)}
        return found.pop() if len(found) == 1 else "raw"
    plain = typing.get_origin(hint) or hint
    return "dict" if issubclass(plain, Struct) else str(plain.__name__)


def table() -> str:
    """A row for each field: which step adds it, and what it is."""
    rows = [
        f"| {step} | `{field.name}` | {field.description.replace('``', '`')} |"
        for step, stage in STAGES.items()
        for field in fields(stage)
        if field.name not in LATER
    ]
    rows += [
        f"| any | `{field.name}` | {field.description.replace('``', '`')} |"
        for field in fields(App)
        if field.name in LATER
    ]
    return "\n".join(["| Added by | Field | What it is |", "|---|---|---|", *rows])


def contains(module: str) -> str:
    """What apps that a module returns have, as the module documents it."""
    wanted = RETURNED[module]
    found = [field for field in fields(App) if field.name in LATER and field.name in wanted]
    for step in wanted:
        if step in STAGES:
            found = [f for f in fields(STAGES[step]) if f.name not in LATER] + found
    documented = {
        field.name: {
            "description": re.sub(r"``(.*?)``", r"C(\1)", field.description),
            "type": field.type,
        }
        for field in found
    }
    text = yaml.safe_dump(documented, sort_keys=False, width=84, allow_unicode=True)
    return textwrap.indent(text, " " * 4)


def documents() -> Iterator[tuple[Path, str]]:
    """The architecture and the modules of the steps, with what is generated in them."""
    page = ARCHITECTURE.read_text(encoding="utf-8")
    yield ARCHITECTURE, _TABLE.sub(lambda _: table(), page)
    for module in RETURNED:
        path = PROJECT / "plugins" / "modules" / f"{module}.py"
        yield path, returning(path.read_text(encoding="utf-8"), contains(module))


def returning(text: str, listed: str) -> str:
    """A module's text with this list of what returned apps have."""

    def replaced(found: re.Match[str]) -> str:
        return _CONTAINS.sub(lambda part: part[1] + listed, found[1])

    return _RETURN.sub(replaced, text)

"""The arguments of an action plugin, read from the documentation of its module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

SPECIFIED = (
    "type",
    "elements",
    "required",
    "default",
    "choices",
    "no_log",
    "mutually_exclusive",
    "required_one_of",
)
"""What documentation and an argument specification say by the same words."""

Options = Mapping[str, Mapping[str, Any]]


def documented_options(module: Path) -> dict[str, dict[str, Any]]:
    """The options that a module documents, its own and those of the fragments that it extends."""
    documentation = _block(module, "DOCUMENTATION")
    options: dict[str, dict[str, Any]] = {}
    for fragment in documentation.get("extends_documentation_fragment", []):
        file, name = fragment.split(".")
        path = module.parents[1] / "doc_fragments" / f"{file}.py"
        options |= _block(path, name.upper())["options"]
    options |= documentation.get("options", {})
    return options


def argument_spec(options: Options) -> dict[str, dict[str, Any]]:
    """The argument specification of options, as Ansible validates tasks by it.

    Ansible fills in defaults where it finds them, in those of mappings too.
    """
    return {
        name: {key: deepcopy(option[key]) for key in SPECIFIED if key in option}
        | ({"options": argument_spec(option["suboptions"])} if "suboptions" in option else {})
        for name, option in options.items()
    }


@cache
def _block(path: Path, name: str) -> dict[str, Any]:
    """The YAML that a file assigns to a name; Ansible's own reader takes ten times as long."""
    found = re.search(rf'^ *{name} = r"""\n(.*?)"""', path.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{path}: there is no {name}"
    block: dict[str, Any] = yaml.load(found[1], Loader=yaml.CSafeLoader)
    return block

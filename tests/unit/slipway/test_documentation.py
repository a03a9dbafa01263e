"""Arguments from a module's documentation and from the fragments that it extends."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.documentation import argument_spec, documented_options

MODULE = '''"""Documentation."""

DOCUMENTATION = r"""
options:
  files:
    description: What to have.
    type: list
    elements: dict
    required_one_of: [[content, source]]
    suboptions:
      content:
        description: Text.
        type: str
        default: none
  password:
    description: The module's own word for it.
    type: str
extends_documentation_fragment:
  - shared.password
  - shared.place
"""
'''

FRAGMENTS = '''"""Fragments."""


class ModuleDocFragment:
    """Of these modules."""

    PASSWORD = r"""
options:
  password:
    description: A secret.
    type: str
    no_log: true
"""

    PLACE = r"""
options:
  place:
    description: Where.
    type: path
    required: true
"""
'''


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module with options of its own and of fragments."""
    for name, text in {"modules/files.py": MODULE, "doc_fragments/shared.py": FRAGMENTS}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path / "modules" / "files.py"


def test_a_module_s_own_options_come_before_those_of_its_fragments(module: Path) -> None:
    options = documented_options(module)
    assert options.keys() == {"files", "password", "place"}
    assert options["password"]["description"] == "The module's own word for it."
    assert "no_log" not in options["password"]


def test_an_argument_is_validated_by_what_is_documented(module: Path) -> None:
    content = {"content": {"type": "str", "default": "none"}}
    assert argument_spec(documented_options(module)) == {
        "files": {
            "type": "list",
            "elements": "dict",
            "required_one_of": [["content", "source"]],
            "options": content,
        },
        "password": {"type": "str"},
        "place": {"type": "path", "required": True},
    }


def test_a_fragment_that_is_not_there_is_named(module: Path) -> None:
    module.write_text(MODULE.replace("shared.place", "shared.palce"))
    with pytest.raises(AssertionError, match=r"shared\.py: there is no PALCE"):
        documented_options(module)

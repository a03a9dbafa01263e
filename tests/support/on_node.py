"""What a module returns whose work is done on a node, done here."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from slipway.documentation import documented_options
from slipway.on_node.shared import Failed, Modes
from tests.support.checkout import PROJECT


def result_of(
    module: ModuleType, args: dict[str, Any], *, check: bool = False, diff: bool = False
) -> dict[str, Any]:
    """The result of the module of a file's name, with what its documentation has by default."""
    name = module.__name__.rpartition(".")[2]
    options = documented_options(PROJECT / "plugins" / "modules" / f"{name}.py")
    defaults = {each: option.get("default") for each, option in options.items()}
    try:
        result: dict[str, Any] = module.main({**defaults, **args}, Modes(check, diff))
    except Failed as failed:
        return failed.result
    return result

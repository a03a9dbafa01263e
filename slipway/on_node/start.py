"""What a program for a node begins with: it carries out a module, and tells what came of it."""

from __future__ import annotations

import json
import sys
from types import ModuleType

MARK = "=== slipway: "
"""What the line with the result begins with, among all that others write."""


def start(given: str) -> None:
    """Have the files that were sent as Python's modules, run the last, and print its result."""
    asked = json.loads(given)
    for name, text in asked["sources"].items():
        module = sys.modules[name] = ModuleType(name)
        exec(compile(text, name.replace(".", "/") + ".py", "exec"), vars(module))
    shared = sys.modules["slipway.on_node.shared"]
    try:
        result = module.main(asked["args"], shared.Modes(**asked["modes"]))
    except shared.Failed as failed:
        result = failed.result
    # On a line of its own, whatever was written before.
    print(f"\n{MARK}{json.dumps(result)}")

"""What may import what: each floor of the library only itself and those below, without a ring."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.support.checkout import PROJECT

FLOORS = [
    {
        "action_plugin",
        "architecture",
        "dev_session",
        "documentation",
        "errors",
        "files",
        "interrupts",
        "locks",
        "node_program",
        "on_node",
        "run",
        "secrets",
        "status_line",
        "stopwatch",
        "text",
        "waiting",
    },
    {"cache", "certificates", "control_node", "keystores", "kube", "oci"},
    {"bundle", "nodes"},
    {"apps"},
    {"dashboard", "dev", "doctor", "people", "preflight", "sbom"},
]
"""The parts of the library, the lowest floor first."""

BESIDE = {"bench", "docs", "ingress", "nginx_ingress", "plugins", "tests"}
"""What is no part of the library, and may import it."""

SUITES = ("tests.unit", "tests.integration", "tests.e2e")
"""Where the tests are, and nothing that tests share."""

ONLY = {"slipway.cache": FLOORS[0] | {"oci"}}
"""What a part may have of the floors, where that is less."""


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it, by their full names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{each.name}" for each in node.names)


def files(folder: str) -> list[Path]:
    """The Python files below a folder of the project."""
    return sorted((PROJECT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """A file's place in the project as a module's name."""
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def test_every_part_of_the_library_is_on_a_floor() -> None:
    parts = {path.stem for path in (PROJECT / "slipway").iterdir() if path.suffix in ("", ".py")}
    assert set().union(*FLOORS) == parts - {"__init__", "__pycache__"}


def test_the_architecture_shows_the_floors_as_they_are() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text()
    table = page.partition("<!-- floors:")[2].split("\n\n")[1]
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", table, re.MULTILINE)
    shown = [(int(number), set(re.findall(r"`(\w+)`", parts))) for number, parts in rows]
    assert shown == [*enumerate(FLOORS)]


def test_no_part_of_the_library_imports_what_is_above_it_or_beside_it() -> None:
    floor = {part: number for number, parts in enumerate(FLOORS) for part in parts}
    wrong = []
    for path in files("slipway"):
        own = name_of(path).split(".")[1]
        below = {part for part in floor if floor[part] <= floor.get(own, -1)}
        allowed = ONLY.get(f"slipway.{own}", below) | {own}
        for module in imports(path):
            top, _, rest = module.partition(".")
            if top in BESIDE or (top == "slipway" and rest.split(".")[0] not in allowed):
                wrong.append(f"{name_of(path)} imports {module}")
    assert wrong == []


def test_what_runs_on_nodes_needs_nothing_but_python_and_itself() -> None:
    known = {*sys.stdlib_module_names}
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in files("slipway/on_node")
        for module in imports(path)
        if not module.startswith("slipway.on_node.") and module.split(".")[0] not in known
    ]
    assert wrong == []


def test_no_parts_import_each_other() -> None:
    """Neither parts of the library nor, inside the largest of them, parts of apps."""

    def part(module: str) -> str:
        parts = module.split(".")
        return ".".join(parts[: 3 if parts[1] == "apps" else 2])

    needed: dict[str, set[str]] = defaultdict(set)
    for path in files("slipway"):
        own = part(name_of(path))
        needed[own] |= {part(each) for each in imports(path) if each.startswith("slipway.")} - {own}
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as ring:
        raise AssertionError(" imports ".join(reversed(ring.args[1]))) from None


def test_no_test_imports_another_test() -> None:
    """What several of them need is in ``tests/support``, or in ``ingress/tests/support``."""
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in (*files("tests"), *files("ingress/tests"))
        for module in imports(path)
        if module.removeprefix("ingress.").startswith(SUITES)
    ]
    assert wrong == []

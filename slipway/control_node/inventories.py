"""What is written twice in an inventory and its variables, of which Ansible takes the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from slipway.errors import Problem

SUFFIXES = (".yml", ".yaml", ".json")

VARIABLES = ("group_vars", "host_vars")
"""Folders beside an inventory with variables of its groups and hosts."""

MERGE = "<<"
"""The key that brings what another mapping has, as often as one likes."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def written_twice(inventories: Iterable[Path], variables: Iterable[Path]) -> list[Problem]:
    """Every key that stands twice in a mapping, and every host that has two values of a variable.

    ``variables`` are folders of files, ``inventories`` files, or folders of them, with folders of
    variables beside them. What cannot be read as YAML is left to Ansible, which says so.
    """
    inventories = list(inventories)
    sources = {path: _root(path) for path in _files(inventories)}
    beside = [_home(path) / name for path in inventories for name in VARIABLES]
    others = {path: _root(path) for path in _files([*beside, *variables])}
    doubled = [
        problem
        for path, root in (sources | others).items()
        for problem in _doubled_keys(path, root)
    ]
    return [*doubled, *_contradictions(sources)]


def _home(inventory: Path) -> Path:
    """The folder in which an inventory is."""
    return inventory if inventory.is_dir() else inventory.parent


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files at these paths, and in what are folders; none of the variables beside them."""
    for path in paths:
        if path.is_file() and path.suffix in SUFFIXES:
            yield path
        elif path.is_dir():
            yield from _files(each for each in sorted(path.iterdir()) if each.name not in VARIABLES)


def _root(path: Path) -> yaml.Node | None:
    """What a file has in it; nothing where that is no YAML, as when it is encrypted."""
    try:
        root: yaml.Node | None = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return root


def _doubled_keys(path: Path, root: yaml.Node | None) -> Iterator[Problem]:
    for node in _nodes(root):
        seen: dict[str, int] = {}
        for key, _value in node.value if isinstance(node, yaml.MappingNode) else ():
            name, line = str(key.value), _line(key)
            if name in seen and name != MERGE:
                what = f"{name} stands here again, after line {seen[name]}"
                yield Problem(f"{path}:{line}", what, "keep one of the two")
            seen.setdefault(name, line)


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """All that is in a node and itself, each once, however often it is referred to."""
    known, ahead = set(), [root] if root else []
    while ahead:
        node = ahead.pop()
        if id(node) in known:
            continue
        known.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            ahead += [value for _key, value in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            ahead += reversed(node.value)


def _contradictions(sources: Mapping[Path, yaml.Node | None]) -> Iterator[Problem]:
    """Hosts that are in several groups, with another value of a variable in each."""
    seen: dict[tuple[str, str], tuple[object, str]] = {}
    for path, root in sources.items():
        for host, variable, value in _variables(root):
            here = f"{path}:{_line(value)}"
            known, there = seen.setdefault((host, variable), (_plain(value), here))
            if known != _plain(value):
                what = f"{variable} of {host} is another one than at {there}"
                yield Problem(here, what, "write each variable of a host once")


def _variables(groups: yaml.Node | None) -> Iterator[tuple[str, str, yaml.Node]]:
    """The variables of each host in groups, and in the groups below them."""
    for _name, group in _entries(groups):
        for key, value in _entries(group):
            if key == "children":
                yield from _variables(value)
            elif key == "hosts":
                for host, own in _entries(value):
                    yield from ((host, name, given) for name, given in _entries(own))


def _entries(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    """What a mapping has; nothing of what is none."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return [(str(key.value), value) for key, value in pairs]


def _plain(node: yaml.Node) -> object:
    """A value that equals another one that says the same."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each) for each in node.value]
    return node.tag, node.value


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1

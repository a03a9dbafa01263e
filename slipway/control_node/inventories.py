"""What is written twice in an inventory and its variables, of which Ansible takes the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
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

    What is within itself, by an alias, is told as well. ``variables`` are folders of files,
    ``inventories`` files, or folders of them, with folders of variables beside them. What cannot be
    read as YAML is left to Ansible, which says so.
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
    looping = {path: node for path, root in (sources | others).items() if (node := _loop(root))}
    doubled += [
        Problem(f"{path}:{_line(node)}", "has an alias within what it stands for", "write it out")
        for path, node in looping.items()
    ]
    sound = {path: root for path, root in sources.items() if path not in looping}
    return [*doubled, *_contradictions(sound)]


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
        seen: dict[tuple[str, str], int] = {}
        for key, _value in node.value if isinstance(node, yaml.MappingNode) else ():
            name, line = _key(key), _line(key)
            if name in seen and key.value != MERGE:
                what = f"{key.value} stands here again, after line {seen[name]}"
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
        ahead += reversed(_parts(node))


def _parts(node: yaml.Node) -> list[yaml.Node]:
    """The values that are directly in a node."""
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _loop(root: yaml.Node | None) -> yaml.Node | None:
    """A node that is in itself, by an alias; None if there is none."""
    nodes = {id(node): node for node in _nodes(root)}
    parts = {key: [id(each) for each in _parts(node)] for key, node in nodes.items()}
    try:
        TopologicalSorter(parts).prepare()
    except CycleError as error:
        return min((nodes[key] for key in error.args[1]), key=_line)
    return None


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
        return {_key(key): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each) for each in node.value]
    return node.tag, node.value


def _key(node: yaml.Node) -> tuple[str, str]:
    """What tells a key from others: the number 1 is not the text "1"."""
    return node.tag, str(node.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1

"""YAML that remembers on which line each value stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path, PurePath
from typing import Any, cast

import yaml

from slipway.apps.yaml_words import BOOLEAN, FRACTION, INTEGER, MERGE, TEXT, Words
from slipway.errors import Problem, SlipwayError
from slipway.secrets import ENCRYPTED

Place = tuple[str | int, ...]
"""The way to a value: keys and list positions, as ``("apps", 1, "port")``."""


class Kind(Enum):
    """What a word without quotes may be at a place."""

    TEXT = auto()
    """Itself, to the letter: 01067, 1.10 and yes as well."""
    PLAIN = auto()
    """A number, as long as it is written in decimals: who writes 0644 may mean three things."""
    ANY = auto()
    """Whatever YAML makes of it."""


class _Loader(Words, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Parses and composes; values are made by :class:`_Reader`."""


@dataclass(frozen=True)
class Most:
    """How much a file may say with all that its aliases stand for: values, and characters."""

    values: int
    characters: int


OF_OPERATORS = Most(200_000, 32 << 20)
"""What the operator's own file may say."""

DEEPEST = 100
"""How deep lists and mappings may be in one another."""

SUSPICIOUS = 600
"""Brackets, and columns, below which a text is not deep enough to trouble a parser."""

LARGEST_NUMBER = 10**18

_TAGS = {
    "!vault": "put the value into slipway_secrets in the vault, and name it here: docs/secrets.md",
    "!unsafe": "remove it: text is to the letter here, but for {{ ... }} and {% ... %}",
}
"""The tags of Ansible's own files, and what is to be done instead."""

_DECIMAL = re.compile(r"0|-?[1-9][0-9]*")


@dataclass
class Document:
    """A YAML file: its value, the line of each place in it, and what is wrong with its keys."""

    path: PurePath
    whose: str = ""
    """Whose file it is, if that is not plain from its name."""
    root: Place = ()
    """The place that its value has among the settings of apps.yml."""
    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    words: dict[Place, str] = field(default_factory=dict)
    """How a value is written that is no text."""
    problems: list[tuple[Place, Problem]] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of a place; of the nearest one around it when the file does not have it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def where(self, place: Place, line: int | None = None) -> str:
        """The place as a user finds it, ``apps.yml:12 apps[1].port``; ``line`` if not its own."""
        own = place[len(self.root) :]
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in own)
        return f"{self.at(line or self.line(place))} {text.removeprefix('.')}".rstrip()

    def at(self, line: int) -> str:
        """A line of the file."""
        if self.whose:
            return f"{self.path} of {self.whose}, line {line}"
        return f"{self.path.name}:{line}"

    def app(self, at: int) -> Any:
        """What it says of an app of the list, or of the one that it is about."""
        return self.value if self.root else self.value["apps"][at]


def read(path: Path, kind_of: Callable[[Place], Kind] = lambda _place: Kind.PLAIN) -> Document:
    """The file at ``path``; doubled keys and keys that are no text are among its problems.

    ``kind_of`` says what may be at a place. Raises SlipwayError when the file cannot be read or
    is not YAML.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        fix = "create it or correct its rights"
        raise SlipwayError(Problem(str(path), f"cannot be read: {error.strerror}", fix)) from error
    return parse(content, Document(path), kind_of)


def parse(
    content: bytes,
    document: Document,
    kind_of: Callable[[Place], Kind] = lambda _place: Kind.PLAIN,
    most: Most = OF_OPERATORS,
) -> Document:
    """As :func:`read`, of a file with this content, which the ``document`` is of."""
    try:
        text = content.decode()
        if text.startswith(ENCRYPTED):
            fix = "decrypt it, and put what is secret into slipway_secrets: docs/secrets.md"
            raise SlipwayError(Problem(document.at(1), "is encrypted by Ansible Vault", fix))
        _check_depth(text)
        loader = cast(Any, _Loader)(text)
        try:
            return _Reader(loader, document, kind_of, most).read()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = document.at(mark.line + 1 if mark else 1)
        reason = " ".join(part for part in (error.context, error.problem) if part)
        fix = "correct the line or the one above"
        raise SlipwayError(Problem(where, f"is not YAML: {reason}", fix)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fix = "save it as UTF-8 text"
        raise SlipwayError(Problem(document.at(1), f"is not YAML: {error}", fix)) from error


def _check_depth(text: str) -> None:
    """Raise MarkedYAMLError when values are too deep in one another for a parser's own stack.

    That takes many brackets or a long line, so most texts need no look at their structure.
    """
    brackets = text.count("[") + text.count("{")
    if brackets + 2 * max(map(len, text.split("\n"))) < SUSPICIOUS:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _too_deep(event)


class _Reader:
    """Makes values of YAML nodes, and notes their lines."""

    def __init__(
        self, loader: Any, document: Document, kind_of: Callable[[Place], Kind], most: Most
    ) -> None:
        self._loader = loader
        self._document = document
        self._kind_of = kind_of
        self._most = most
        self._open: list[int] = []
        self._values = 0
        self._characters = 0

    def read(self) -> Document:
        root = self._loader.get_single_node()
        if root is not None:
            self._document.value = self._value(root, self._document.root)
        return self._document

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self._document.lines.setdefault(place, _line(node))
        self._count(node)
        if node.tag.startswith("!"):
            fix = _TAGS.get(node.tag, "remove it")
            self._problem(place, node, f"has the tag {node.tag:.40}, which is none here", fix)
            node.tag = TEXT
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        if id(node) in self._open:
            raise yaml.MarkedYAMLError(
                problem="an alias inside what it stands for", problem_mark=node.start_mark
            )
        if len(self._open) == DEEPEST:
            raise _too_deep(node)
        self._open.append(id(node))
        value: Any
        if isinstance(node, yaml.SequenceNode):
            value = [self._value(item, (*place, at)) for at, item in enumerate(node.value)]
        else:
            value = self._mapping(cast(yaml.MappingNode, node), place)
        self._open.pop()
        return value

    def _count(self, node: yaml.Node) -> None:
        """Raise MarkedYAMLError when there is more than anybody means to write."""
        self._values += 1
        if isinstance(node, yaml.ScalarNode):
            self._characters += len(node.value)
        elif isinstance(node, yaml.MappingNode):
            self._characters += sum(len(key.value) for key, _ in node.value)
        for found, most, what in (
            (self._values, self._most.values, "values"),
            (self._characters, self._most.characters, "characters"),
        ):
            if found > most:
                raise yaml.MarkedYAMLError(
                    problem=f"more than {most} {what} with all that aliases stand for",
                    problem_mark=node.start_mark,
                )

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        is_word = node.tag in (BOOLEAN, INTEGER, FRACTION)
        if node.tag == MERGE or (is_word and self._kind_of(place) is Kind.TEXT):
            return node.value
        if node.tag != TEXT:
            self._document.words[place] = node.value
        try:
            value = self._loader.construct_object(node)
        except yaml.YAMLError:
            raise
        except Exception as error:  # the constructors of PyYAML trust a tag
            raise _unfit(node) from error
        if isinstance(value, int) and abs(value) >= LARGEST_NUMBER:
            raise _unfit(node)
        if node.tag == INTEGER and not _DECIMAL.fullmatch(node.value):
            self._check_number(node, place, value)
        return value

    def _check_number(self, node: yaml.ScalarNode, place: Place, value: int) -> None:
        """Note a number that is not what its digits say to everybody."""
        if self._kind_of(place) is Kind.PLAIN:
            what = f"is {node.value:.40}, which YAML reads as the number {value}"
            fix = f"write {value}, or '{node.value:.40}' in quotes if it is text"
            self._problem(place, node, what, fix)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for source in _merged_nodes(node):
            value = self._value(source, place)
            if isinstance(value, dict):
                merged = {**value, **merged}
            else:
                self._problem(place, source, "merges (<<) what is no mapping", "merge a mapping")
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(place, key_node, "has a key that is not text", "write a plain key")
                continue
            key = str(key_node.value)
            if key in own:
                first = self._document.lines[(*place, key)]
                self._problem(
                    (*place, key),
                    key_node,
                    f"stands here again, after line {first}",
                    "keep one of the two",
                )
                continue
            self._document.lines[(*place, key)] = _line(key_node)
            own[key] = self._value(value_node, (*place, key))
        return {**merged, **own}

    def _problem(self, place: Place, node: yaml.Node, what: str, fix: str) -> None:
        where = self._document.where(place, _line(node))
        self._document.problems.append((place, Problem(where, what, fix)))


def _too_deep(part: Any) -> yaml.MarkedYAMLError:
    """What is in too many lists and mappings."""
    return yaml.MarkedYAMLError(
        problem=f"lists and mappings are more than {DEEPEST} deep", problem_mark=part.start_mark
    )


def _unfit(node: yaml.ScalarNode) -> yaml.MarkedYAMLError:
    """What is no value of its tag."""
    tag = node.tag.replace("tag:yaml.org,2002:", "!!")
    return yaml.MarkedYAMLError(
        problem=f"{node.value[:40]!r} is no value of {tag}", problem_mark=node.start_mark
    )


def _merged_nodes(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    """What the ``<<`` keys of a mapping name, the one that wins first."""
    for key, value in node.value:
        if key.tag == MERGE:
            yield from value.value if isinstance(value, yaml.SequenceNode) else [value]


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1

"""Anybody's manifests as plain data, in bounded time and memory: YAML as Kubernetes reads it.

The values are made of the parser's events one after the other, so that nothing in a text can nest
too deeply for Python, and what aliases would multiply is counted as often as it is meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from slipway.apps.yaml_words import MERGE, TEXT, Words
from slipway.errors import Told
from slipway.files import LONGEST

LARGEST = 32 << 20
"""How large its values may be, with what aliases stand for; each counts NODE and its text."""

NODE = 32

DEEPEST = 100
"""How deep lists and mappings may be in one another."""

_NUMBER_LENGTH = 60
_INTEGERS = range(-(2**63), 2**64)

_CORE = "tag:yaml.org,2002:"
_COLLECTIONS = {None, "!", f"{_CORE}seq", f"{_CORE}map"}
_KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number"}


class Fault(Told):
    """Something that cannot be read or filled in; its text says what and where."""


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end is still to come."""

    value: Any
    event: Any
    """Its beginning."""
    before: int
    """How large the text was before it."""
    key: str | None = None
    keys: dict[str, Any] = field(default_factory=dict)
    """Where each key so far stands."""
    merged: dict[str, Any] = field(default_factory=dict)


class _Merge:
    """What the key ``<<`` is read as."""


def documents(where: str, text: str, *, doubled: bool = False) -> Iterator[tuple[int, Any]]:
    """Each document of a text with its line; raises Fault with the line of what is wrong.

    Where keys may be ``doubled``, the last one counts.
    """
    if len(text) > LONGEST:
        raise Fault(f"{where}: is longer than {LONGEST >> 20} MB: split it")
    loader = _Loader(text)
    try:
        yield from _Reader(loader, where, doubled=doubled).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        reason = " ".join(part for part in (error.context, error.problem) if part)
        raise Fault(f"{where}:{line}: is not YAML: {reason}") from error
    except yaml.YAMLError as error:
        raise Fault(f"{where}: is not YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()


class _Reader:
    """Reads one text."""

    def __init__(self, loader: Any, where: str, *, doubled: bool) -> None:
        self._loader = loader
        self._where = where
        self._doubled = doubled
        self._size = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        """By name, what an anchor stands for and how large it is; None while it is open."""

    def documents(self) -> Iterator[tuple[int, Any]]:
        line, value = 1, None
        stack, next_event = self._stack, self._loader.get_event
        while True:  # once for each word of every manifest: what is usual comes first
            event = next_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                size = NODE + len(event.value)
                self._size += size
                found = self._scalar(event)
                if event.anchor is not None:
                    self._anchors[event.anchor] = found, size
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._open(event, {} if kind is yaml.MappingStartEvent else [])
                continue
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                found, event = self._close()
            elif kind is yaml.AliasEvent:
                found = self._alias(event)
            elif kind is yaml.DocumentEndEvent:
                yield line, value
                value = None
                self._anchors.clear()
                continue
            elif kind is yaml.StreamEndEvent:
                return
            else:
                continue
            if self._size > LARGEST:
                what = f"it is more than {LARGEST >> 20} MB with all that its aliases stand for"
                raise self._fault(event, f"{what}: write less, or split it")
            if not stack:
                line, value = _line(event), found
            elif type(stack[-1].value) is list:
                stack[-1].value.append(found)
            else:
                self._place(stack[-1], found, event)

    def _fault(self, event: Any, what: str) -> Fault:
        return Fault(f"{self._where}:{_line(event)}: {what}")

    def _open(self, event: Any, value: list[Any] | dict[str, Any]) -> None:
        if len(self._stack) == DEEPEST:
            raise self._fault(event, f"lists and mappings are more than {DEEPEST} deep")
        if event.tag not in _COLLECTIONS:
            raise self._fault(event, _unknown(event.tag))
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(value, event, self._size))
        self._size += NODE

    def _close(self) -> tuple[Any, Any]:
        """The value that ends, and the event with which it began."""
        done = self._stack.pop()
        value = {**done.merged, **done.value} if done.merged else done.value
        if done.event.anchor is not None:
            self._anchors[done.event.anchor] = value, self._size - done.before
        return value, done.event

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            what = f"is not YAML: nothing has the anchor &{event.anchor} above it"
            raise self._fault(event, what)
        known = self._anchors[event.anchor]
        if known is None:
            raise self._fault(event, f"*{event.anchor} is an alias inside what it stands for")
        value, size = known
        self._size += size
        return value

    def _place(self, mapping: _Open, value: Any, event: Any) -> None:
        """Put something where it belongs in a mapping: keys and values come by turns."""
        key = mapping.key
        if key is None:
            mapping.key = self._key(mapping, value, event)
        else:
            mapping.key = None
            if key == MERGE:
                self._merge(mapping, value, event)
            else:
                mapping.value[key] = value

    def _key(self, mapping: _Open, value: Any, event: Any) -> str:
        if value is _Merge:
            return MERGE
        if isinstance(value, bool):  # as kubectl has it, like numbers
            value = str(value).lower()
        elif isinstance(value, int):
            value = str(value)
        if not isinstance(value, str):
            raise self._fault(event, "has a key that is no text: put it in quotes")
        first = mapping.keys.setdefault(value, event)
        if first is not event and not self._doubled:
            what = f"the key {value} stands here again, after line {_line(first)}"
            raise self._fault(event, f"{what}: keep one of the two")
        return value

    def _merge(self, mapping: _Open, value: Any, event: Any) -> None:
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise self._fault(event, "merges (<<) what is no mapping")
            mapping.merged = {**part, **mapping.merged}

    def _scalar(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        if tag is None or tag == "!":
            known = _tag if len(text) <= _NUMBER_LENGTH else _tag.__wrapped__
            tag = known(text) if event.implicit[0] else TEXT
        if tag == TEXT:
            return text
        kind = tag.removeprefix(_CORE)
        if kind == "timestamp":
            return text
        if kind == "null":
            return None
        if tag == MERGE:
            around = self._stack[-1] if self._stack else None
            is_key = around and isinstance(around.value, dict) and around.key is None
            return _Merge if is_key else text
        if kind not in _KINDS:
            raise self._fault(event, _unknown(tag))
        value = self._made(kind, text, tag)
        if value is None:
            what = f"{text[:_NUMBER_LENGTH]!r} is not {_KINDS[kind]} that JSON can have"
            raise self._fault(event, f"{what}: correct it, or put it in quotes")
        return value

    def _made(self, kind: str, text: str, tag: str) -> Any:
        """A number or truth value; None for what is none, or none for JSON."""
        if len(text) > _NUMBER_LENGTH:
            return None
        make = getattr(self._loader, f"construct_yaml_{kind}")
        try:
            value = make(yaml.ScalarNode(tag, text))
        except (ValueError, KeyError, ArithmeticError, IndexError):
            return None
        if kind == "int":
            return value if value in _INTEGERS else None
        return value if kind == "bool" or math.isfinite(value) else None


def _unknown(tag: str) -> str:
    """What is wrong with a tag that is not known, and how to mend it."""
    if tag == "!vault":
        return (
            "what Ansible Vault encrypted stays so in manifests: put it into slipway_secrets, and "
            "have env or config_files name it (docs/secrets.md)"
        )
    return f"{tag.replace(_CORE, '!!')} is no tag of Kubernetes' YAML: remove it"


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_WORDS = Words()


@lru_cache(maxsize=4096)
def _tag(text: str) -> str:
    """The tag of a plain word."""
    return _WORDS.resolve(yaml.ScalarNode, text, (True, False))

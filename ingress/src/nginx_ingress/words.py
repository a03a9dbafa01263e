"""Texts that users write, looked at in a time that grows with their length alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

LONGEST_PATH = 1024
"""In bytes, of a path and of a rewrite. nginx reads no word of more than some 4,000."""
LONGEST_VALUE = 4096
"""In bytes, of an annotation that this controller reads."""
LONGEST_HOST = 253
LONGEST_NAME = 63

_MOST_REPETITIONS = _DEEPEST_GROUP = 1000
"""What the regular expressions of NGINX Inc's controller end at."""
_LONGEST_SHOWN = 100
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def quoted(text: str) -> str:
    """A text for a message: between quotes, and cut where it is long."""
    return json.dumps(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")


def is_too_long(text: str, most: int) -> bool:
    """Whether a text has more bytes than it may, as UTF-8."""
    return len(text) > most or len(text.encode(errors="replace")) > most


def is_name(text: str) -> bool:
    """Whether it is a label of DNS, as names of Services and of their ports are."""
    return len(text) <= LONGEST_NAME and _is_label(text)


def is_host(text: str) -> bool:
    """Whether it is labels of DNS with dots between, as names of hosts and of Ingresses are."""
    return len(text) <= LONGEST_HOST and all(map(_is_label, text.split(".")))


def _is_label(text: str) -> bool:
    return bool(text) and _ALPHABET.issuperset(text) and text[0] != "-" != text[-1]


def is_one_word(text: str) -> bool:
    """Whether there is nothing in it that separates, controls or cannot be written as UTF-8."""
    return not any(each.isspace() for each in text) and not has_control(text)


def has_control(text: str) -> bool:
    """Whether there is anything in it that controls or cannot be written as UTF-8."""
    return any(_is_control(ord(each)) for each in text)


def _is_control(code: int) -> bool:
    return code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000


def has_open_quote(text: str) -> bool:
    """Whether a quote stands in it without a backslash, or a backslash at its end."""
    escaped = False
    for each in text:
        if each == '"' and not escaped:
            return True
        escaped = each == "\\" and not escaped
    return escaped


def braced(text: str) -> Iterator[str]:
    """What stands between braces."""
    begin = text.find("{")
    while begin >= 0 and (end := text.find("}", begin)) >= 0:
        yield text[begin + 1 : end]
        begin = text.find("{", end)


def expression_problem(text: str) -> str:
    """Why a text would be no regular expression, by what can be told without compiling it.

    That is about groups and sets that are not closed, and about repetitions.
    """
    depth, set_at, escaped = 0, -1, False
    for at, each in enumerate(text):
        if escaped or each == "\\":
            escaped = not escaped
        elif set_at >= 0:
            # A bracket that comes first, or first after ^, is one of the set.
            if each == "]" and text[set_at + 1 : at] not in ("", "^"):
                set_at = -1
        elif each == "[":
            set_at = at
        elif each in "()":
            depth += 1 if each == "(" else -1
            if not 0 <= depth <= _DEEPEST_GROUP:
                return f"parentheses that do not pair, or too many, at {at}"
    if depth or set_at >= 0:
        return "a parenthesis or a bracket is not closed"
    numbers = (number for inner in braced(text) for number in inner.split(","))
    if any(_is_decimal(each) and int(each) > _MOST_REPETITIONS for each in numbers):
        return f"more than {_MOST_REPETITIONS} repetitions"
    return ""


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdecimal()

"""What is sent to a node's Python to do there the work of a module, and what comes back.

It is one program text, with the files of :mod:`slipway.on_node` that it takes and the arguments, so
that nothing is left on the node and nothing of it is in a list of processes there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.on_node.start import MARK
from slipway.run import last_lines

_FOLDER = Path(__file__).parent / "on_node"
_PACKAGE = "slipway.on_node"
_IMPORT = re.compile(rf"^from {re.escape(_PACKAGE)}\.(\w+) import ", re.MULTILINE)


def program(name: str, args: Mapping[str, Any], modes: Mapping[str, bool]) -> str:
    """The program that does the work of the module ``name``.

    Python runs nothing of a program before it has read all of it, and what it does is its last
    line: one that was cut off on its way does nothing.
    """
    sources = {f"{_PACKAGE}.{each}": _source(each) for each in _needed(name)}
    given = json.dumps({"sources": sources, "args": args, "modes": modes})
    # A traceback shows the line of a call: that must not be the one with the arguments.
    return f"{_source('start')}\n\nGIVEN = {given!r}\nstart(GIVEN)\n"


def command(interpreters: Sequence[str]) -> str:
    """The shell command that runs its input with the first Python of these that there is."""
    # By -I, no module of the folder that a login leads to is taken in place of Python's own.
    if len(interpreters) == 1:
        return f"{interpreters[0]} -I -"
    runs = " || ".join(f"try {each}" for each in interpreters)
    told = shlex.quote(f"there is no Python at {' or '.join(interpreters)}")
    return (
        'try() { "$@" -I -c "" </dev/null 2>/dev/null && exec "$@" -I -; }; '
        f"{runs} || {{ echo {told} >&2; exit 127; }}"
    )


def result(host: str, name: str, code: int, out: str, said: str) -> dict[str, Any]:
    """What the module returned; raises SlipwayError with its last words where it came to no end.

    The result is found whatever a profile, a greeting or sudo wrote before it, or after.
    """
    for line in reversed(out.splitlines()):
        if line.startswith(MARK):
            with suppress(ValueError):  # of one that was cut off
                found: dict[str, Any] = json.loads(line.removeprefix(MARK))
                return found
    last = last_lines(said or out) or "    | nothing"
    raise SlipwayError(Problem(host, f"{name} ended there with code {code}; it last said\n{last}"))


def _needed(name: str) -> Iterator[str]:
    """The files that a file imports, each after those that it imports itself, and the file."""
    for each in _IMPORT.findall(_source(name)):
        yield from _needed(each)
    yield name


def _source(name: str) -> str:
    return (_FOLDER / f"{name}.py").read_text(encoding="utf-8")

"""A program that fills in anybody's templates, with bounds on its memory, its time and its output.

:mod:`slipway.apps.confined` starts it as a file, so that nothing but Jinja has to be loaded. Each
line that it reads is a request in JSON, and gets a line in answer: with ``variables`` it is the
filled-in ``text``, without them the ``names`` that the template uses, and otherwise the ``reason``
why not and the ``line`` of the template. All of it goes through pipes: values may be secrets.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import sys
from collections.abc import Mapping
from traceback import walk_tb
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, meta
from jinja2.sandbox import SandboxedEnvironment

CPU_SECONDS = 2
"""How much of a processor's time one template may take."""

MEMORY_BYTES = 512 << 20
"""How much address space the program may have."""

MOST_TEXT = 16 << 20
"""How many characters a template may give."""

NO_TEXT = "\ud800"
"""What no text can have in it that is UTF-8 somewhere."""

ENVIRONMENT = SandboxedEnvironment(
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,
    # There are no comments: ${#list[@]} is a shell's, and nothing of a text may be gone silently.
    comment_start_string=f"{NO_TEXT}#",
    comment_end_string=f"#{NO_TEXT}",
)


def line_of(error: Exception) -> int:
    """The line of a template that an error is about: Jinja names it in its traceback."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    lines = [
        line
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_code.co_filename == "<template>"
    ]
    return lines[-1] if lines else 1


def words_of(error: Exception) -> str:
    """What an error of a template says."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return f"it needs more than {MEMORY_BYTES >> 20} MB of memory"
    return str(error) or type(error).__name__


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    if "variables" not in request:
        parsed = ENVIRONMENT.parse(request["text"])
        return {"names": sorted(meta.find_undeclared_variables(parsed))}
    pieces, length = [], 0
    for piece in ENVIRONMENT.from_string(request["text"]).generate(request["variables"]):
        length += len(piece)
        if length > MOST_TEXT:
            return {"reason": f"it gives more than {MOST_TEXT >> 20} MB of text", "line": 1}
        pieces.append(piece)
    return {"text": "".join(pieces)}


def _limit_time() -> None:
    """Give the next request its time; the kernel ends the program that takes longer."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main() -> None:
    """Answer until there are no more requests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides when it ends
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        _limit_time()
        try:
            answer = json.dumps(_answer(json.loads(line)))
        except Exception as error:
            answer = json.dumps({"reason": words_of(error), "line": line_of(error)})
        print(answer, flush=True)


if __name__ == "__main__":
    main()

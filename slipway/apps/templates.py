"""Text with ``{{ branch }}`` and the like in it.

A template that only names variables is filled in here, which costs least. It cannot take long: it
has no loop and no call. Whatever says more is somebody's program, and goes to a process apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, nodes

from slipway.apps.app import Sourced
from slipway.apps.confined import ASKED, BrokeBounds
from slipway.apps.template_child import ENVIRONMENT, line_of, words_of
from slipway.errors import Told

ROUTE_VARIABLES = ("name", "branch", "branch_slug", "namespace")
"""What paths may use; a namespace may use the first three."""

HOST_VARIABLES = (*ROUTE_VARIABLES, "domain")

VARIABLES = (*ROUTE_VARIABLES, "host", "commit")
"""What text in the container may use."""

MANIFEST_VARIABLES = (*VARIABLES, "image")

_PLAIN = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Concat,
    nodes.Filter,
    nodes.Test,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
)
"""What a template may have that is filled in here: its text is never more than what it names."""

_REPLACE = "replace"
_FILTERS = ("capitalize", "d", "default", "lower", _REPLACE, "title", "trim", "upper")
_TESTS = ("defined", "undefined")

_RETURN = "\x1d\x1e\x1f"
"""What stands for a carriage return, which Jinja would drop: blanks to it that no text has."""

_CORRECT = (
    "correct it, or write {{ '{{' }} and {{ '{%' }} for the characters themselves; of files and "
    "manifests, template: false takes all as it is"
)

_DEEPEST = 30
"""How deep such a template may be nested."""

_LONGEST_REPLACED = 1 << 15
"""How long such a template may be if it replaces: each character of a name may become all of it."""


def is_template(text: Any) -> bool:
    """Whether a value of apps.yml is text with something to fill in."""
    return isinstance(text, str) and "{{" in text


def mistake(text: str, known: Iterable[str]) -> tuple[str, str] | None:
    """What is wrong with a template and how to mend it, without rendering it; None if nothing."""
    if not _has_syntax(text):
        return None
    names = list(known)
    try:
        used = _names(text)
    except Unfilled as error:
        return f"is no template: {error}", _CORRECT
    if unknown := sorted(used - {*names}):
        plural = "s" if len(unknown) > 1 else ""
        return (
            f"uses the unknown variable{plural} {', '.join(unknown)}",
            f"the variables here are {', '.join(names)}",
        )
    return None


def is_program(text: str) -> bool:
    """Whether a text is a template that is filled in by a process apart, if it is one at all."""
    if not _has_syntax(text):
        return False
    try:
        return not _is_plain(ENVIRONMENT.parse(text), _replacing(text))
    except (TemplateError, RecursionError, ValueError):
        return False


def fill(text: str, variables: Mapping[str, str]) -> str:
    """The text with the variables filled in; raises Unfilled if it cannot be.

    All else in it stays to the letter.
    """
    if not _has_syntax(text):
        return text
    return _filled(text.replace("\r", _RETURN), variables).replace(_RETURN, "\r")


def _filled(text: str, variables: Mapping[str, str]) -> str:
    try:
        template = _plain(text)
        if template is not None:
            return template.render(variables)
    except Exception as error:  # a template can raise whatever Python can
        raise Unfilled(words_of(error), line_of(error)) from error
    filled: str = _asked({"text": text, "variables": dict(variables)})["text"]
    return filled


class Unfilled(Told):
    """A template that cannot be filled in; ``line`` is where, counted from one."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


def _has_syntax(text: str) -> bool:
    """Whether there is anything for Jinja in it: even an empty template takes it a while."""
    return "{{" in text or "{%" in text


def variables_of(app: Sourced) -> dict[str, str]:
    """What text in the container may use; ``host`` is the first of the app's, if it has one."""
    return {
        "name": app.name,
        "branch": app.git_branch,
        "branch_slug": app.branch_slug,
        "namespace": app.namespace,
        "commit": app.commit,
        **({"host": app.rules[0].host} if app.rules else {}),
    }


def _names(text: str) -> set[str]:
    """The variables that a template uses; raises Unfilled if it is none."""
    try:
        parsed = ENVIRONMENT.parse(text)
        if _is_plain(parsed, _replacing(text)):
            return {name.name for name in parsed.find_all(nodes.Name)}
    except (TemplateError, RecursionError, ValueError) as error:
        reason = error.message if isinstance(error, TemplateError) else words_of(error)
        raise Unfilled(str(reason), line_of(error)) from error
    return {*_asked({"text": text})["names"]}


@lru_cache(maxsize=1024)
def _plain(text: str) -> Template | None:
    """The template if it can be filled in here, compiled once: a pattern's branches share theirs.

    Others are not even compiled here: what is constant in them is computed then.
    """
    parsed = ENVIRONMENT.parse(text)
    return ENVIRONMENT.from_string(parsed) if _is_plain(parsed, _replacing(text)) else None


def _replacing(text: str) -> int:
    """How often each expression of a template may replace."""
    return int(len(text) <= _LONGEST_REPLACED)


def _is_plain(node: nodes.Node, replacing: int, depth: int = 0) -> bool:
    """Whether a part of a template has nothing that could take long or give much."""
    if depth > _DEEPEST or not isinstance(node, _PLAIN):
        return False
    if isinstance(node, nodes.Name) and node.ctx != "load":
        return False
    if isinstance(node, nodes.Test) and node.name not in _TESTS:
        return False
    if isinstance(node, nodes.Filter):
        replacing -= node.name == _REPLACE
        if node.name not in _FILTERS or replacing < 0:
            return False
    return all(_is_plain(part, replacing, depth + 1) for part in node.iter_child_nodes())


def _asked(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the process apart answers; raises Unfilled when it cannot."""
    try:
        answer = ASKED.ask(request)
    except BrokeBounds as error:
        raise Unfilled(str(error), 1) from error
    if "reason" in answer:
        raise Unfilled(answer["reason"], answer["line"])
    return answer

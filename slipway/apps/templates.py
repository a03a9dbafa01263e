"""Text with ``{{ branch }}`` and the like in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from traceback import walk_tb
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import SandboxedEnvironment

from slipway.apps.records import App

ROUTE_VARIABLES = ("name", "branch", "branch_slug", "namespace")
"""What paths and hosts may use; a namespace may use the first three."""

VARIABLES = (*ROUTE_VARIABLES, "host", "commit")
"""What text in the container may use."""

MANIFEST_VARIABLES = (*VARIABLES, "image")

_ENVIRONMENT = SandboxedEnvironment(
    undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
)


def is_template(text: Any) -> bool:
    """Whether a value of apps.yml is text with something to fill in."""
    return isinstance(text, str) and "{{" in text


def mistake(text: str, known: Iterable[str]) -> tuple[str, str] | None:
    """What is wrong with a template and how to mend it, without rendering it; None if nothing."""
    if not _has_syntax(text):
        return None
    names = list(known)
    try:
        used = meta.find_undeclared_variables(_ENVIRONMENT.parse(text))
    except TemplateError as error:
        return f"is no template: {error.message}", "correct it, or say template: false"
    if unknown := sorted(used - {*names}):
        plural = "s" if len(unknown) > 1 else ""
        return (
            f"uses the unknown variable{plural} {', '.join(unknown)}",
            f"the variables here are {', '.join(names)}",
        )
    return None


def fill(text: str, variables: Mapping[str, str]) -> str:
    """The text with the variables filled in; raises Unfilled if it cannot be."""
    if not _has_syntax(text):
        return text
    try:
        return _compiled(text).render(variables)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise Unfilled(str(error), _line(error)) from error


class Unfilled(ValueError):
    """A template that cannot be filled in; ``line`` is where, counted from one."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


def _has_syntax(text: str) -> bool:
    """Whether there is anything for Jinja in it: even an empty template takes it a while."""
    return "{" in text


def variables_of(app: App) -> dict[str, str]:
    """What text in the container may use; ``host`` is the first of the app's, if it has one."""
    rules = app["ingress"]["rules"] if app["ingress"] else []
    return {
        "name": app["name"],
        "branch": app["git_branch"],
        "branch_slug": app["branch_slug"],
        "namespace": app["namespace"],
        "commit": app["commit"],
        **({"host": rules[0]["host"]} if rules else {}),
    }


def _line(error: Exception) -> int:
    """The line of a template that an error is about: Jinja names it in its traceback."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    lines = [
        line
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_code.co_filename == "<template>"
    ]
    return lines[-1] if lines else 1


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Template:
    """The template, compiled once: a pattern's branches all have the same ones."""
    return _ENVIRONMENT.from_string(text)

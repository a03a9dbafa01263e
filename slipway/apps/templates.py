"""Text with ``{{ branch }}`` and the like in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment

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
    """The text with the variables filled in; raises ValueError with the reason if it cannot be."""
    try:
        return _ENVIRONMENT.from_string(text).render(variables)
    except TemplateError as error:
        raise ValueError(str(error.message)) from error

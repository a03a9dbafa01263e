"""Filters as templates use them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jinja2


def rendered(module: ModuleType, expression: str, **names: Any) -> Any:
    """The value of an expression with a plugin's filters."""
    environment = jinja2.Environment(autoescape=False)
    environment.filters.update(module.FilterModule().filters())
    return environment.compile_expression(expression)(**names)

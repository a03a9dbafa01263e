"""Where in apps.yml a setting of an app stands, and what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from slipway.apps.plan.yaml_lines import Document, Place
from slipway.errors import Problem

Finding = tuple[Place, Problem]


class Places:
    """Findings about the settings of one app; a setting may come from the file's defaults."""

    def __init__(self, document: Document, at: int, part: Place = ()) -> None:
        self._document = document
        self._at = at
        self._part = part

    def below(self, *part: str | int) -> Places:
        """Findings about the settings of a part of the app."""
        return Places(self._document, self._at, (*self._part, *part))

    def where(self, *setting: str | int) -> str:
        """The place of a setting as a user finds it."""
        return self._document.where(self._place(setting))

    def finding(self, setting: Place, what: str, fix: str) -> Finding:
        """Something wrong with a setting."""
        place = self._place(setting)
        return place, Problem(self._document.where(place), what, fix)

    def is_own(self, setting: str) -> bool:
        """Whether the app itself gives a setting, or a part of it."""
        return ("apps", self._at, setting) in self._document.lines

    def _place(self, setting: Place) -> Place:
        setting, lines = (*self._part, *setting), self._document.lines
        inherited = (
            ("apps", self._at, *setting[:1]) not in lines
            or ("apps", self._at, *setting[:2]) not in lines
        ) and ("defaults", *setting[:2]) in lines
        return ("defaults", *setting) if setting and inherited else ("apps", self._at, *setting)


def setting_at(place: Place) -> tuple[Any, Place]:
    """Which app a place is in, none for the defaults, and the setting of it or of its service."""
    app, setting = (place[1], place[2:]) if place[:1] == ("apps",) else (None, place[1:])
    return app, setting[2:] if setting[:1] == ("services",) else setting


def plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping without its free ``x-`` keys; what is written as 5.0 is the whole number."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in mapping.items()
        if not key.startswith("x-")
    }


def nearest(wrong: str, known: Collection[str]) -> str:
    """What may have been meant, of the names that there are."""
    names = sorted({*known})
    close = difflib.get_close_matches(wrong, names, n=1)
    if close:
        return f"write {close[0]}"
    return f"write one of {', '.join(names)}" if names else "remove it"

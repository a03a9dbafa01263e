"""Where in apps.yml a setting of an app stands, and what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from slipway.apps.plan.yaml_lines import Document, Place
from slipway.errors import Problem

Finding = tuple[Place, Problem]


class Places:
    """Findings about the settings of one app, which is ``at`` a place of the list.

    A setting may come from the file's defaults, or from what the app's repository has ``said``.
    """

    def __init__(
        self, document: Document, at: int, part: Place = (), said: Document | None = None
    ) -> None:
        self.at = at
        self._document = document
        self._part = part
        self._said = said

    def below(self, *part: str | int) -> Places:
        """Findings about the settings of a part of the app."""
        return Places(self._document, self.at, (*self._part, *part), self._said)

    def told(self, said: Document) -> Places:
        """Findings about the app with what its repository says of it."""
        return Places(self._document, self.at, self._part, said)

    def where(self, *setting: str | int) -> str:
        """The place of a setting as a user finds it."""
        document, place = self._place(setting)
        return document.where(place)

    def finding(self, setting: Place, what: str, fix: str) -> Finding:
        """Something wrong with a setting."""
        document, place = self._place(setting)
        return place, Problem(document.where(place), what, fix)

    def is_own(self, setting: str) -> bool:
        """Whether the app itself gives a setting, or a part of it."""
        return ("apps", self.at, setting) in self._document.lines

    def _place(self, setting: Place) -> tuple[Document, Place]:
        """The file that gives a setting, and the place there: the app before its repository."""
        setting = (*self._part, *setting)
        own: Place = ("apps", self.at)
        ways = [(self._document, own)]
        ways += [(self._said, own)] if self._said else []
        ways += [(self._document, ("defaults",))]
        for document, top in ways if setting else ():
            if (*top, *setting[:2]) in document.lines:
                return document, (*top, *setting)
        return self._document, (*own, *setting)


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

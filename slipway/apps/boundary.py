"""One app's work is that app's risk: whatever goes wrong in it fails this app and no other.

Each step runs what it does for an app through a :class:`Boundary`. Only what ends the run on
purpose, such as the user's interrupt, passes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from slipway.apps.app import App, fail
from slipway.errors import SlipwayError, Told

T = TypeVar("T")

SAID_LENGTH = 400
"""How much of the message of an exception that nobody foresaw is shown."""

FIX = (
    "a file of this branch is probably of a kind that Slipway does not know, or Slipway has a "
    "mistake; -vvv shows where"
)

_LOG = logging.getLogger("slipway")
"""Where the traces of unforeseen exceptions go; Ansible shows them with -vvv."""


def reason_of(error: Exception) -> str:
    """Why something failed: what is foreseen says it, of any other its kind is named too."""
    if isinstance(error, SlipwayError | Told):
        return str(error)
    _LOG.debug("%s", type(error).__name__, exc_info=error)
    said = " ".join(str(error).split())
    short = said if len(said) <= SAID_LENGTH else f"{said[: SAID_LENGTH - 1]}…"
    kind = type(error).__name__
    return f"unexpected {kind}{f': {short}' if short else ''}\n    fix: {FIX}"


class Boundary:
    """Runs apps' work; ``note`` gets each app that fails in it, and the reason.

    ``check`` sees what went wrong first, and raises when that is no app's matter but the end of
    the run, as a cluster is that no longer answers.
    """

    def __init__(
        self,
        note: Callable[[Any, str], None],
        check: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._note = note
        self._check = check

    def run(self, apps: Iterable[App], work: Callable[..., T], *given: object) -> T | None:
        """What ``work`` gives; None when it fails, which is then the failure of ``apps``."""
        try:
            return work(*given)
        except Exception as error:
            self._check(error)
            reason = reason_of(error)
        for app in apps:
            self._note(app, reason)
        return None


def failing(step: str, redact: Callable[[str], str] = str) -> Boundary:
    """The boundary of a step, which notes in records that they failed at it."""
    return Boundary(lambda record, reason: fail(record, step, redact(reason)))


def tried(app: App, work: Callable[..., T], *given: object) -> T | str:
    """What ``work`` gives for an app, or why it fails."""
    reasons: list[str] = []
    found = Boundary(lambda _app, reason: reasons.append(reason)).run([app], work, *given)
    return reasons[0] if reasons else found  # type: ignore[return-value]


def _raise(error: Exception) -> None:
    raise error


THROUGH = Boundary(lambda _app, _reason: None, _raise)
"""Lets everything through: for work of which nobody notes the failure."""

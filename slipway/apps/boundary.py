"""One app's work is that app's risk: whatever goes wrong in it fails this app and no other.

Each step runs what it does for an app through a :class:`Boundary`. Only what ends the run on
purpose, such as the user's interrupt, passes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from slipway.apps.app import App
from slipway.errors import SlipwayError, Told

S = TypeVar("S")
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


class Boundary(Generic[S]):
    """Runs work for something; ``note`` gets each thing whose work fails, and the reason.

    ``check`` sees what went wrong first, and raises when that is no app's matter but the end of
    the run, as a cluster is that no longer answers.
    """

    def __init__(
        self,
        note: Callable[[S, str], None],
        check: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._note = note
        self._check = check

    def run(self, subjects: Iterable[S], work: Callable[..., T], *given: object) -> T | None:
        """What ``work`` gives; None when it fails, which is then the failure of all subjects."""
        try:
            return work(*given)
        except Exception as error:
            self._check(error)
            reason = reason_of(error)
        for subject in subjects:
            self._note(subject, reason)
        return None


def failing(step: str, redact: Callable[[str], str] = str) -> Boundary[App]:
    """The boundary of a step, which notes in apps that they failed at it."""
    return Boundary(lambda app, reason: app.fail(step, redact(reason)))


def tried(work: Callable[..., T], *given: object) -> T | str:
    """What ``work`` gives, or why it fails."""
    try:
        return work(*given)
    except Exception as error:
        return reason_of(error)


def _raise(error: Exception) -> None:
    raise error


THROUGH: Boundary[App] = Boundary(lambda _app, _reason: None, _raise)
"""Lets everything through: for work of which nobody notes the failure."""

"""Sandboxes that are none: what they are asked is noted, and they do as the test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slipway.apps.builders.sandbox import Place, Program, Sandboxes

IMAGE = "sha256:0123456789ab"


@dataclass
class Run:
    """What one sandbox was to run."""

    place: Place
    program: Program
    given: dict[str, str]
    """The files that it got, by their paths, with their content."""

    @property
    def options(self) -> list[str]:
        """The options of Maven's JVM."""
        return self.program.environment["MAVEN_OPTS"].split()


@dataclass
class Noting(Sandboxes):
    """Sandboxes in which ``act`` is done in place of a program."""

    act: Callable[[Run], None] = lambda run: None
    runs: list[Run] = field(default_factory=list)
    image: str = IMAGE

    def run(self, place: Place, program: Program, *, what: str, timeout: float) -> str:
        """As Sandboxes."""
        files = (path for path in place.given.rglob("*") if path.is_file())
        given = {str(path.relative_to(place.given)): path.read_text() for path in files}
        self.runs.append(Run(place, program, given))
        self.act(self.runs[-1])
        return ""


def make(place: Place, name: str, text: str = "") -> Path:
    """Have a file in a sandbox's own folder."""
    path = place.work / name
    path.write_text(text)
    return path

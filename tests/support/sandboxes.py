"""Sandboxes that are none: what they are asked is noted, and they do as the test says."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slipway.apps.builders import sandbox_init
from slipway.apps.builders.sandbox import IN, WORK, Place, Program, Sandboxes
from slipway.errors import Problem, SlipwayError

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


class Below(Sandboxes):
    """Sandboxes without walls: a program sees the folders of its place below another root.

    What it is told is changed for that; all else is done as in a container.
    """

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"), "", print)

    def run(self, place: Place, program: Program, *, what: str, timeout: float) -> str:
        """As Sandboxes."""
        own = {IN: place.given, WORK: place.work, **program.readable}
        place_of = re.compile("|".join(rf"(?:(?<==)|^){re.escape(to)}(?=/|$)" for to in own))

        def here(text: str) -> str:
            return place_of.sub(lambda found: str(own[found[0]]), text)

        sandbox_init.fill(place.work / "source", program.folder, place.source)
        with (place.work / (program.output or "said")).open("wb") as output:
            done = subprocess.run(
                [here(each) for each in program.argv],
                cwd=place.work / "source" / program.folder,
                env={"PATH": os.defpath, **{k: here(v) for k, v in program.environment.items()}},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                timeout=timeout,
                check=False,
            )
        if done.returncode != 0:
            reason = f"{program.argv[0]} ended with code {done.returncode}; it last said\n"
            raise SlipwayError(Problem(what, reason + done.stderr.decode()))
        return done.stderr.decode()


def make(place: Place, name: str, text: str = "") -> Path:
    """Have a file in a sandbox's own folder."""
    path = place.work / name
    path.write_text(text)
    return path

"""What many apps of one repository cost: when they are new, when one changes, when none does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import yaml

from bench.figures import Figure, Report, Target
from bench.runs import Run, play
from slipway.apps.source.examples import make_repository

INVENTORY = "apps"
HOST = "bench.slipway.test"

FIRST = 50
"""Apps of the first deployment."""

FEW, MANY = 2, 200
"""Apps of which one changes."""

COUNTS = (10, FIRST, MANY)
"""Apps of the runs without a change."""

REPEATS = 3
"""Runs of a kind; the fastest counts, for what disturbs a run can only lengthen it."""

ONE_MORE = Target(most=0.1)
"""Seconds for an unchanged app."""

OF_MANY = Target(most=2)
"""Seconds by which a change among MANY may take longer than one among FEW."""

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY index.html /srv/
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["python3", "-m", "http.server", "--directory", "/srv", "8000"]
"""


class Pages:
    """A repository with a branch for each of many small services, and an apps.yml."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        main = folder / "page" / "main"
        main.mkdir(parents=True)
        (main / "Dockerfile").write_text(DOCKERFILE)
        (main / "index.html").write_text("main\n")
        for number in range(MANY):
            (folder / "page" / self._branch(number)).mkdir(parents=True)
            self._write(number, f"page {number}")
        self._commit()

    def change_one(self, text: str) -> None:
        """Add a text to what the first service says."""
        self._write(0, f"page 0, {text}")
        self._commit()

    def deploy(self, count: int) -> Run:
        """Do as ``make apps`` with the first ``count`` services."""
        apps_file = self._folder / "apps.yml"
        apps_file.write_text(
            yaml.safe_dump(
                {
                    "version": 1,
                    "defaults": {"git_url": str(self._folder / "page.git"), "port": 8000},
                    "apps": [self._app(number) for number in range(count)],
                }
            )
        )
        # Only these apps: the project's own samples take no part.
        samples = [f"-eslipway_examples_dir={self._folder}/none"]
        extra = [f"-eslipway_apps_file={apps_file}", *samples]
        return play(INVENTORY, "playbooks/apps.yml", extra=extra)

    def _app(self, number: int) -> dict[str, object]:
        rule = {"path": f"/page/{number}/", "rewrite": "/", "expect": f"page {number}"}
        return {
            "name": "page",
            "git_branch": self._branch(number),
            "build": "buildx",
            "ingress": {"host": HOST, "rules": [rule]},
        }

    @staticmethod
    def _branch(number: int) -> str:
        return f"feature/p{number}"

    def _write(self, number: int, text: str) -> None:
        page = self._folder / "page" / self._branch(number) / "index.html"
        page.write_text(f"{text}\n")

    def _commit(self) -> None:
        make_repository(self._folder / "page", self._folder, check=False)


def _changes(pages: Pages, count: int) -> Iterator[Run]:
    """Deploy ``count`` services again and again, each time with another text of the first."""
    for number in range(REPEATS):
        pages.change_one(f"{number} of {count}")
        yield pages.deploy(count)


def fastest(runs: Iterable[Run]) -> Run:
    """The run that was disturbed least."""
    return min(runs, key=lambda run: run.seconds)


def measure(*, keep: bool) -> Report:
    """Measure on a cluster that is made for it, and removed unless it is to be kept."""
    play(INVENTORY, "playbooks/bundle.yml", "playbooks/reset.yml")
    play(INVENTORY, *(f"playbooks/{name}.yml" for name in ("nodes", "cluster", "platform")))
    with tempfile.TemporaryDirectory() as folder:
        pages = Pages(Path(folder))
        first = pages.deploy(FIRST)
        unchanged, changed = {}, {}
        for count in sorted({FEW, *COUNTS}):
            pages.deploy(count)
            unchanged[count] = fastest(pages.deploy(count) for _ in range(REPEATS))
            if count in (FEW, MANY):
                changed[count] = fastest(_changes(pages, count))
    if not keep:
        play(INVENTORY, "playbooks/reset.yml")
    figures = [
        Figure(f"first deployment of {FIRST} apps", first.seconds),
        *(Figure(f"{count} apps, nothing changed", unchanged[count].seconds) for count in COUNTS),
        *(
            Figure(
                f"one more unchanged app, {few} to {many} apps",
                (unchanged[many].seconds - unchanged[few].seconds) / (many - few),
                target=ONE_MORE,
            )
            for few, many in pairwise(COUNTS)
        ),
        *(Figure(f"one app of {count} changed", run.seconds) for count, run in changed.items()),
        Figure(
            f"one app of {MANY} changed, beyond one of {FEW}",
            changed[MANY].seconds - changed[FEW].seconds,
            target=OF_MANY,
        ),
    ]
    notes = [
        f"First deployment of {FIRST} apps: {first.where_the_time_went}",
        f"{MANY} apps, nothing changed: {unchanged[MANY].where_the_time_went}",
        *(
            f"One app of {count} changed: {run.where_the_time_went}"
            for count, run in changed.items()
        ),
    ]
    return Report(figures, notes)

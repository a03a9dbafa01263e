"""What a change costs where fifty services share a repository, beside two that have their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.apps import DOCKERFILE, FIRST, HOST, INVENTORY, OF_MANY, REPEATS, fastest
from bench.figures import Figure, Report
from bench.runs import Run, play
from slipway.apps.source.examples import make_repository

OWN = 2
"""Services that have repositories of their own, of which one changes."""


class Services:
    """Repositories with as many small services in folders of each, and an apps.yml."""

    def __init__(self, root: Path, repositories: int, each: int) -> None:
        self._root = root
        self._places = [
            (f"of-{each}-{repository}", f"page-{number}")
            for repository in range(repositories)
            for number in range(each)
        ]
        for place in self._places:
            self._folder(place).mkdir(parents=True)
            (self._folder(place) / "Dockerfile").write_text(DOCKERFILE)
            self._write(place, self._text(place))
        for name in sorted({name for name, _ in self._places}):
            make_repository(root / name, root, check=False)

    def changes(self) -> Iterator[Run]:
        """Deploy all again and again, each time with another text of the first."""
        first = self._places[0]
        for number in range(REPEATS):
            self._write(first, f"{self._text(first)}, {number}")
            make_repository(self._root / first[0], self._root, check=False)
            yield self.deploy()

    def deploy(self) -> Run:
        """Do as ``make apps`` with all of them."""
        apps_file = self._root / "apps.yml"
        apps = [self._app(place) for place in self._places]
        apps_file.write_text(yaml.safe_dump({"version": 1, "apps": apps}))
        # Only these apps: the project's own samples take no part.
        samples = f"-eslipway_examples_dir={self._root}/none"
        extra = [f"-eslipway_apps_file={apps_file}", samples]
        return play(INVENTORY, "playbooks/apps.yml", extra=extra)

    def _app(self, place: tuple[str, str]) -> dict[str, object]:
        repository, folder = place
        name = f"{repository}-{folder}"
        rule = {"path": f"/{name}/", "rewrite": "/", "expect": self._text(place)}
        return {
            "name": name,
            "git_url": str(self._root / f"{repository}.git"),
            "git_path": folder,
            "build": "buildx",
            "port": 8000,
            "ingress": {"host": HOST, "rules": [rule]},
        }

    def _folder(self, place: tuple[str, str]) -> Path:
        repository, folder = place
        return self._root / repository / "main" / folder

    def _text(self, place: tuple[str, str]) -> str:
        return "the {} {}".format(*place)

    def _write(self, place: tuple[str, str], text: str) -> None:
        (self._folder(place) / "index.html").write_text(f"{text}\n")


def measure(*, keep: bool) -> Report:
    """Measure on a cluster that is made for it, and removed unless it is to be kept."""
    play(INVENTORY, "playbooks/bundle.yml", "playbooks/reset.yml")
    play(INVENTORY, *(f"playbooks/{name}.yml" for name in ("nodes", "cluster", "platform")))
    with tempfile.TemporaryDirectory() as folder:
        own = Services(Path(folder) / "own", OWN, 1)
        own.deploy()
        few = fastest(own.changes())
        shared = Services(Path(folder) / "shared", 1, FIRST)
        first = shared.deploy()
        many = fastest(shared.changes())
    if not keep:
        play(INVENTORY, "playbooks/reset.yml")
    instead = f"one of {OWN} in repositories of their own"
    figures = [
        Figure(f"first deployment of {FIRST} services of one repository", first.seconds),
        Figure(
            f"one of {FIRST} services of one repository changed",
            many.seconds,
            instead=instead,
            instead_value=few.seconds,
        ),
        Figure(f"the same, beyond {instead}", many.seconds - few.seconds, target=OF_MANY),
    ]
    notes = [
        f"One of {FIRST} changed: {many.where_the_time_went}",
        f"One of {OWN} changed: {few.where_the_time_went}",
    ]
    return Report(figures, notes)

"""A run waits for what the one before it has not taken up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import App
from slipway.apps.environments.resolve import Repositories
from slipway.apps.source.git import Mirror
from slipway.apps.source.git_auth import Keys
from slipway.dev import watch
from slipway.dev.watch import Watch
from slipway.dev_session import Session
from slipway.errors import SlipwayError
from slipway.secrets import Secrets
from slipway.waiting import wait_until
from tests.support.git_samples import commit, git

WAITING = "waiting for a change (Ctrl-C ends this)"
DEADLINE = 10.0
"""Seconds after which a wait that should be over is given up."""


STEADY = 0.25
"""Seconds after which a wait has looked once by itself; from then on it does when told to."""


@dataclass(frozen=True)
class Asking(Repositories):
    """Notes when repositories on other machines are asked."""

    times: list[float] = field(default_factory=list)

    def branches(self, app: App) -> Mapping[str, str]:
        self.times.append(time.monotonic())
        return super().branches(app)


class Runs:
    """Runs of one session; each looks for itself."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "apps.yml"
        self.examples, self.samples = folder / "examples", folder / "samples"
        self.repositories = Asking(folder / "cache", Keys(), check=False)
        self.session = Session(folder / "session")
        self.session.folder.mkdir()
        self.said: list[str] = []

    def write(self, *urls: Path | str, branch: str = "main", to: Path | None = None) -> None:
        """An apps.yml with an app of each of the repositories."""
        apps = [
            f"{{name: web-{number}, git_url: '{url}', git_branch: '{branch}'}}"
            for number, url in enumerate(urls)
        ]
        (to or self.file).write_text(f"version: 1\napps: [{', '.join(apps)}]\n")

    def watch(self, interval: float = 3600) -> Watch:
        """What a new run watches with."""
        self.said.clear()
        return Watch(
            path=self.file,
            secrets=Secrets({}),
            examples=self.examples,
            samples=self.samples,
            repositories=self.repositories,
            interval=interval,
            say=self.said.append,
        )

    def take(self) -> None:
        """A run that has something to take up; builds have its sources then."""
        self.wait_for_news()
        for url, heads in self.session.heads.items():
            if (Path(url) / ".git").exists():
                Mirror(url, self.repositories.cache).fetch(list(heads))

    def wait(self, interval: float = 3600) -> Future[float]:
        """A run that has nothing to take up yet."""
        watching = self.watch(interval)
        waiting = in_thread(lambda: watching.wait(self.session))
        assert wait_until(lambda: waiting.done() or WAITING in self.said, DEADLINE)
        time.sleep(STEADY)
        if waiting.done():
            waiting.result()
        assert self.said[-1] == WAITING
        return waiting

    def wait_for_news(self) -> None:
        """A run that has something to take up at once."""
        in_thread(lambda: self.watch().wait(self.session)).result(DEADLINE)
        assert WAITING not in self.said

    def heads(self, url: Path) -> dict[str, str]:
        return self.session.heads[str(url)]


def in_thread(work: Callable[[], float]) -> Future[float]:
    """Do the work; nobody has to wait for its end."""
    future: Future[float] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return future


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    runs = Runs(tmp_path)
    yield runs
    runs.file.write_text("# a wait that a failed test has left ends by this")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    commit(tmp_path / "clone", {"a": "a", ".gitignore": "built\n"})
    return tmp_path / "clone"


@pytest.fixture
def bare(clone: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "-q", "--bare", str(clone), "bare.git")
    git(clone, "remote", "add", "origin", str(tmp_path / "bare.git"))
    return tmp_path / "bare.git"


def push(clone: Path, branch: str = "main") -> str:
    """A commit in the bare repository."""
    pushed = commit(clone, {"pushed": str(time.monotonic())}, branch)
    git(clone, "push", "-q", "origin", branch)
    return pushed


def test_the_first_run_takes_up_what_there_is(runs: Runs, clone: Path, bare: Path) -> None:
    runs.write(clone, bare, f"file://{bare}")
    assert in_thread(lambda: runs.watch().wait(runs.session)).result(DEADLINE) < DEADLINE
    head = {"main": git(clone, "rev-parse", "HEAD")}
    assert runs.session.taken() == {
        "file": sha256(runs.file.read_bytes()).hexdigest(),
        "heads": {str(clone): head, str(bare): head, f"file://{bare}": head},
    }
    assert runs.said == []


def test_a_commit_in_a_bare_repository(runs: Runs, clone: Path, bare: Path) -> None:
    runs.write(bare)
    runs.take()
    begun = time.monotonic()
    waiting = runs.wait()
    pushed = push(clone)
    assert STEADY <= waiting.result(DEADLINE) <= time.monotonic() - begun
    assert runs.said == [WAITING, f"{bare}: main is at {pushed[:7]}"]
    assert runs.heads(bare) == {"main": pushed}


def test_a_file_that_is_saved_and_not_committed(runs: Runs, clone: Path) -> None:
    runs.write(clone)
    runs.take()
    mirror = Mirror(str(clone), runs.repositories.cache)
    for text in ("saved", "saved again"):
        waiting = runs.wait()
        (clone / "a").write_text(text)
        waiting.result(DEADLINE)
        as_it_is = runs.heads(clone)["main"]
        assert runs.said == [WAITING, f"{clone}: main is at {as_it_is[:7]}"]
        assert git(mirror.path, "show", f"{as_it_is}:a") == text


def test_what_git_ignores_and_what_is_only_touched_is_no_change(runs: Runs, clone: Path) -> None:
    runs.write(clone)
    runs.take()
    waiting = runs.wait()
    (clone / "built").write_text("x")
    (clone / "a").touch()
    runs.file.touch()
    git(clone, "status")
    time.sleep(STEADY)
    assert not waiting.done()
    (clone / "a").write_text("saved")
    waiting.result(DEADLINE)
    assert len(runs.said) == 2


def test_a_linked_worktree_is_followed_with_its_clone(
    runs: Runs, clone: Path, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    git(clone, "worktree", "add", "-q", "-b", "feature/x", str(linked))
    runs.write(linked, branch="feature/x")
    runs.take()
    waiting = runs.wait()
    (linked / "a").write_text("saved")
    waiting.result(DEADLINE)
    assert runs.heads(linked)["feature/x"] != git(linked, "rev-parse", "HEAD")

    waiting = runs.wait()
    head = commit(clone, {"a": "main"})
    waiting.result(DEADLINE)
    assert runs.said == [WAITING, f"{linked}: main is at {head[:7]}"]


def test_a_branch_comes_and_goes(runs: Runs, clone: Path, bare: Path) -> None:
    runs.write(bare, branch="feature/*")
    runs.take()
    waiting = runs.wait()
    pushed = push(clone, "feature/x")
    waiting.result(DEADLINE)
    assert runs.said == [WAITING, f"{bare}: feature/x is at {pushed[:7]}"]

    git(bare, "pack-refs", "--all")
    waiting = runs.wait()
    git(clone, "push", "-q", "origin", ":feature/x")
    waiting.result(DEADLINE)
    assert runs.said == [WAITING, f"{bare}: feature/x is gone"]
    assert runs.heads(bare).keys() == {"main"}


def test_an_image_alone_has_no_repository_to_ask(runs: Runs) -> None:
    runs.file.write_text("version: 1\napps: [{name: redis, image: 'redis:8'}]\n")
    runs.take()
    waiting = runs.wait()
    runs.file.write_text("version: 1\napps: [{name: redis, image: 'redis:8.2'}]\n")
    waiting.result(DEADLINE)
    assert runs.said == [WAITING, "apps.yml has changed"]
    assert runs.repositories.times == []


def test_another_file_in_the_place_of_apps_yml(
    runs: Runs, clone: Path, bare: Path, tmp_path: Path
) -> None:
    runs.write(clone)
    runs.take()
    waiting = runs.wait()
    runs.write(clone, bare, to=tmp_path / "saved")
    (tmp_path / "saved").replace(runs.file)
    waiting.result(DEADLINE)
    head = git(clone, "rev-parse", "HEAD")
    assert runs.said == [WAITING, "apps.yml has changed", f"{bare}: main is at {head[:7]}"]

    pushed = push(clone)
    runs.take()
    waiting = runs.wait()
    runs.write(bare)
    waiting.result(DEADLINE)
    assert runs.said == [WAITING, "apps.yml has changed"]
    assert runs.session.heads == {str(bare): {"main": pushed}}


def test_an_edit_of_a_sample(runs: Runs, clone: Path) -> None:
    file = runs.examples / "web" / "main" / "a"
    file.parent.mkdir(parents=True)
    file.write_text("a")
    web = runs.samples / "web.git"
    runs.write("samples/web.git")
    runs.take()
    waiting = runs.wait()
    file.write_text("edited")
    waiting.result(DEADLINE)
    head = git(web, "rev-parse", "main")
    assert runs.said == [WAITING, f"{web}: main is at {head[:7]}"]
    assert git(web, "show", "main:a") == "edited"


def test_what_came_before_the_wait_is_not_waited_for(runs: Runs, clone: Path, bare: Path) -> None:
    runs.write(clone, bare)
    runs.take()
    (clone / "a").write_text("saved")
    runs.take()
    as_it_is = runs.heads(clone)["main"]
    assert runs.said == [f"{clone}: main is at {as_it_is[:7]}"]

    pushed = push(clone)
    runs.take()
    assert runs.said == [f"{url}: main is at {pushed[:7]}" for url in (clone, bare)]

    runs.write(bare)
    runs.take()
    assert runs.said == ["apps.yml has changed"]


def test_what_comes_as_the_wait_begins_is_found(runs: Runs, clone: Path) -> None:
    runs.write(clone)
    runs.take()
    watching = runs.watch()

    def say(line: str) -> None:
        runs.said.append(line)
        if line == WAITING:
            (clone / "a").write_text("saved")

    waiting = in_thread(lambda: replace(watching, say=say).wait(runs.session))
    waiting.result(DEADLINE)
    assert len(runs.said) == 2


def test_other_machines_are_asked_from_time_to_time(runs: Runs, clone: Path, bare: Path) -> None:
    interval = 0.5
    runs.write(f"file://{bare}")
    runs.take()
    runs.repositories.times.clear()
    waiting = runs.wait(interval)
    pushed = push(clone)
    waiting.result(DEADLINE)
    assert runs.said == [WAITING, f"file://{bare}: main is at {pushed[:7]}"]
    times = runs.repositories.times
    assert len(times) >= 2
    assert all(later - asked > interval for asked, later in pairwise(times))


def test_between_the_times_other_machines_are_left_alone(
    runs: Runs, clone: Path, bare: Path
) -> None:
    runs.write(f"file://{bare}", clone)
    runs.take()
    runs.repositories.times.clear()
    waiting = runs.wait(interval=3600)
    push(clone, "other")  # of which the clone tells
    waiting.result(DEADLINE)
    assert len(runs.repositories.times) == 1
    assert [line for line in runs.said if "file://" in line] == []


def test_a_repository_that_stops_answering_is_no_change(
    runs: Runs, clone: Path, bare: Path, tmp_path: Path
) -> None:
    runs.write(f"file://{bare}")
    runs.take()
    waiting = runs.wait(interval=0.1)
    away = bare.rename(tmp_path / "away")
    asked = len(runs.repositories.times)
    assert wait_until(lambda: len(runs.repositories.times) > asked + 2, DEADLINE)
    assert not waiting.done()
    away.rename(bare)
    pushed = push(clone)
    waiting.result(DEADLINE)
    waited, silent, moved = runs.said
    assert silent.startswith(f"file://{bare} cannot be followed now: ")
    assert [waited, moved] == [WAITING, f"file://{bare}: main is at {pushed[:7]}"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_repository_that_stops_answering_between_two_runs_is_no_change(
    runs: Runs, clone: Path, bare: Path, tmp_path: Path, scheme: str
) -> None:
    runs.write(f"{scheme}{bare}", clone)
    runs.take()
    taken = runs.session.heads
    bare.rename(tmp_path / "away")
    waiting = runs.wait(interval=0.1)
    (clone / "a").write_text("saved")
    waiting.result(DEADLINE)
    silent, waited, _ = runs.said
    assert silent.startswith(f"{scheme}{bare} cannot be followed now: ")
    assert waited == WAITING
    assert runs.session.heads == {**taken, str(clone): runs.heads(clone)}


def test_the_first_commit_of_a_repository(runs: Runs, clone: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "new.git")
    runs.write(tmp_path / "new.git")
    runs.take()
    waiting = runs.wait()
    git(clone, "push", "-q", str(tmp_path / "new.git"), "main")
    waiting.result(DEADLINE)
    head = git(clone, "rev-parse", "HEAD")
    assert runs.said == [WAITING, f"{tmp_path}/new.git: main is at {head[:7]}"]


def test_a_repository_that_answers_at_last(
    runs: Runs, clone: Path, bare: Path, tmp_path: Path
) -> None:
    away = bare.rename(tmp_path / "away")
    runs.write(f"file://{bare}")
    runs.take()
    waiting = runs.wait(interval=0.1)
    away.rename(bare)
    waiting.result(DEADLINE)
    head = git(clone, "rev-parse", "HEAD")
    assert runs.said[-2:] == [WAITING, f"file://{bare}: main is at {head[:7]}"]


def test_a_broken_apps_yml_is_taken_up_and_its_mend_waited_for(runs: Runs, clone: Path) -> None:
    runs.write(clone)
    runs.take()
    waiting = runs.wait()
    runs.file.write_text("version: 1\napps: [{nam: web}]\n")
    waiting.result(DEADLINE)
    assert runs.said == [WAITING, "apps.yml has changed"]
    assert runs.session.heads == {}

    waiting = runs.wait()
    (clone / "a").write_text("saved")
    runs.write(clone)
    waiting.result(DEADLINE)
    assert runs.said[:2] == [WAITING, "apps.yml has changed"]
    assert runs.heads(clone).keys() == {"main"}


def test_an_apps_yml_that_is_away_for_a_moment(runs: Runs, clone: Path, tmp_path: Path) -> None:
    runs.write(clone)
    runs.take()
    waiting = runs.wait()
    away = runs.file.rename(tmp_path / "away")
    time.sleep(STEADY)
    away.rename(runs.file)
    (clone / "a").write_text("saved")
    waiting.result(DEADLINE)


def test_folders_that_the_kernel_does_not_follow(
    runs: Runs, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*folders: Path, **options: Any) -> None:
        raise OSError("OS file watch limit reached")

    runs.write(clone)
    runs.take()
    monkeypatch.setattr(watch, "watch", full)
    waiting = in_thread(lambda: runs.watch().wait(runs.session))
    with pytest.raises(SlipwayError, match=r"limit reached\n    fix: raise fs\.inotify"):
        waiting.result(DEADLINE)


def test_files_that_move_to_another_branch_of_the_same_tree(runs: Runs, clone: Path) -> None:
    git(clone, "branch", "other")
    runs.write(clone)
    runs.take()
    (clone / "a").write_text("not committed")
    runs.wait_for_news()
    waiting = runs.wait()
    git(clone, "checkout", "-q", "other")
    waiting.result(DEADLINE)
    heads = runs.heads(clone)
    assert heads["main"] == git(clone, "rev-parse", "main") != heads["other"]


def test_a_clone_below_a_folder_that_editors_fill(runs: Runs, clone: Path, tmp_path: Path) -> None:
    below = tmp_path / "node_modules" / "clone"
    below.parent.mkdir()
    git(tmp_path, "clone", "-q", str(clone), str(below))
    runs.write(below)
    runs.take()
    waiting = runs.wait()
    (below / "a").write_text("saved")
    waiting.result(DEADLINE)


def test_what_does_not_count_keeps_nobody_from_looking(runs: Runs, clone: Path) -> None:
    runs.write(clone)
    runs.take()
    waiting = runs.wait()
    runs.file.write_text(runs.file.read_text() + "# another one\n")
    deadline = time.monotonic() + DEADLINE
    while not waiting.done():
        assert time.monotonic() < deadline
        (clone / ".git" / "noise").write_text(str(time.monotonic()))
        time.sleep(0.01)
    waiting.result()


def test_a_repository_that_is_made_while_it_waits(runs: Runs, bare: Path, tmp_path: Path) -> None:
    away = bare.rename(tmp_path / "away")
    runs.write(bare)
    runs.take()
    waiting = runs.wait()
    away.rename(bare)
    waiting.result(DEADLINE)
    assert runs.session.heads[str(bare)]


def test_a_clone_that_git_cannot_add_is_told(runs: Runs, clone: Path) -> None:
    runs.write(clone)
    runs.take()
    waiting = runs.wait()
    git(clone, "init", "-q", "sub/nested")
    assert wait_until(lambda: len(runs.said) == 2, DEADLINE)
    assert runs.said[1].startswith(f"{clone} cannot be followed now: ")
    assert not waiting.done()
    (clone / "sub" / "nested" / ".git").rename(clone / "sub" / "nested" / "git")
    waiting.result(DEADLINE)

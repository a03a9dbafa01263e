"""What real repositories say of their apps is read at the newest commit of each branch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from slipway.apps.app import App, Scale
from slipway.apps.environments.resolve import Finder, Repositories
from slipway.apps.environments.settings import Reader
from slipway.apps.plan.plan import plan
from slipway.apps.plan.repository import LARGEST
from slipway.apps.source import fetch, git
from slipway.apps.source.fetch import get_sources
from slipway.apps.source.git import Mirror
from slipway.apps.source.git_auth import OPEN, Access, Keys
from slipway.apps.source.working_copy import heads_of
from tests.support import git_samples
from tests.support.apps import reason
from tests.support.git_samples import commit
from tests.support.patterns import NOW
from tests.support.sources import sourced

FILE = """
version: 1
defaults: {git_url: web, repository_settings: true}
apps:
  - {name: web}
  - {name: web, git_branch: feature/*}
"""


class Planned(NamedTuple):
    """The apps of a file, and what was told on the way."""

    apps: list[App]
    lines: list[str]
    unread: list[str]


def planned(
    tmp_path: Path,
    text: str = FILE,
    *,
    check: bool = False,
    known: Mapping[str, Mapping[str, str]] | None = None,
) -> Planned:
    (tmp_path / "apps.yml").write_text(text)
    lines: list[str] = []
    repositories = Repositories(tmp_path / "cache", Keys(), check=check)
    reader = Reader(repositories, lines.append, known or {})
    finder = Finder(list, repositories.branches, NOW)
    apps = plan(tmp_path / "apps.yml", find_branches=finder, read_settings=reader)
    return Planned(apps, lines, reader.unread)


def replicas(apps: list[App]) -> dict[str, int | Scale]:
    """How many pods the app of each branch has, if it did not fail."""
    return {app.git_branch: app.replicas for app in apps if not app.failed}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What git servers are asked for, one after the other."""
    found: list[str] = []
    ask, bring = git.branches, Mirror.fetch

    def branches(url: str, access: Access = OPEN) -> dict[str, str]:
        found.append("branches")
        return ask(url, access)

    def fetched(mirror: Mirror, wanted: list[str], access: Access = OPEN) -> None:
        found.append(f"fetch {' '.join(wanted)}")
        bring(mirror, wanted, access)

    monkeypatch.setattr(git, "branches", branches)
    monkeypatch.setattr(fetch, "branches", branches)
    monkeypatch.setattr(Mirror, "fetch", fetched)
    return found


@pytest.mark.parametrize("text", [FILE, FILE.replace("  - {name: web}\n", "")])
def test_each_repository_is_asked_once_and_fetched_once(
    tmp_path: Path, asked: list[str], text: str
) -> None:
    branches = ["feature/a", "main"] if "{name: web}" in text else ["feature/a"]
    commit(tmp_path / "web", {"slipway.yml": "replicas: 2\n"})
    commit(tmp_path / "web", {"slipway.yml": "replicas: 3\n"}, "feature/a")

    def run() -> dict[str, int | Scale]:
        asked.clear()
        apps = planned(tmp_path, text).apps
        sourced(get_sources(apps, tmp_path / "cache", check=False, say=lambda _: None))
        return replicas(apps)

    wanted = {"main": 2, "feature/a": 3}
    assert run() == {branch: wanted[branch] for branch in branches}
    assert asked == ["branches", f"fetch {' '.join(branches)}"]
    assert run() == {branch: wanted[branch] for branch in branches}
    assert asked == ["branches"]
    commit(tmp_path / "web", {"slipway.yml": "replicas: 4\n"}, "feature/a")
    assert run()["feature/a"] == 4
    assert asked == ["branches", "fetch feature/a"]


def test_a_branch_that_is_written_out_needs_no_pattern_to_be_asked_for(
    tmp_path: Path, asked: list[str]
) -> None:
    commit(tmp_path / "web", {"slipway.yml": "replicas: 2\n"})
    apps = planned(tmp_path, FILE.replace("feature/*", "none")).apps
    assert replicas(apps) == {"main": 2, "none": 1}
    asked.clear()
    got = get_sources(apps, tmp_path / "cache", check=False, say=lambda _: None)
    assert "has no branch none; it has main" in reason(got.apps[1])
    assert asked == ["branches"]  # to say what there is


def test_the_file_is_that_of_the_folder(tmp_path: Path) -> None:
    files = {"a/slipway.yml": "replicas: 2\n", "slipway.yml": "replicas: 9\n", "b/c/file": ""}
    commit(tmp_path / "web", files)
    text = """
version: 1
defaults: {git_url: web, repository_settings: true}
apps:
  - {name: a, git_path: a/}
  - {name: c, git_path: b/c}
  - {name: top}
"""
    assert [app.replicas for app in planned(tmp_path, text).apps] == [2, 1, 9]


def test_a_file_that_is_not_to_be_read_is_the_failure_of_its_branch(tmp_path: Path) -> None:
    web = tmp_path / "web"
    (tmp_path / "secret").write_text("env: {A: outside}\n")
    commit(web, {"slipway.yml": "replicas: 2\n"})
    for branch, target in {
        "out": "../secret",
        "device": "/dev/zero",
        "loop": "slipway.yml",
    }.items():
        commit(web, {}, f"feature/{branch}")
        (web / "slipway.yml").unlink()
        (web / "slipway.yml").symlink_to(target)
        commit(web, {}, f"feature/{branch}")
    commit(web, {}, "main")
    commit(web, {"slipway.yml": "#" * (LARGEST + 1)}, "feature/long")
    commit(web, {}, "main")
    commit(web, {"slipway.yml": "port: x\n"}, "feature/wrong")
    commit(web, {}, "main")
    commit(web, {"shared.yml": "replicas: 3\n"}, "feature/within")
    (web / "slipway.yml").unlink()
    (web / "slipway.yml").symlink_to("shared.yml")
    commit(web, {}, "feature/within")
    apps = planned(tmp_path).apps
    assert replicas(apps) == {"main": 2, "feature/within": 3}
    reasons = {app.git_branch: reason(app) for app in apps if app.failed}
    for branch, why in {
        "feature/out": "cannot be read: it is a link that leads out of the repository",
        "feature/device": "cannot be read: it is a link that leads out of the repository",
        "feature/loop": "cannot be read: it is a link to itself",
        "feature/long": "cannot be read: it is longer than 256 KiB",
        "feature/wrong": "line 1 port: is x",
    }.items():
        head = git_samples.git(web, "rev-parse", "--short=7", branch)
        assert reasons[branch].startswith(f"slipway.yml of {web}, branch {branch} at {head}")
        assert why in reasons[branch].replace("'", "")
        assert "fix: " in reasons[branch]
    assert "outside" not in str(apps)


def test_a_folder_of_a_submodule_is_not_taken_for_one_without_a_file(tmp_path: Path) -> None:
    commit(tmp_path / "other", {"service/slipway.yml": "replicas: 2\n"})
    commit(tmp_path / "web", {})
    allowed = ("-c", "protocol.file.allow=always")
    git_samples.git(
        tmp_path / "web", *allowed, "submodule", "--quiet", "add", str(tmp_path / "other"), "lib"
    )
    commit(tmp_path / "web", {})
    text = "version: 1\napps: [{name: a, git_url: web, git_path: lib/service, KEY: true}]\n"
    [app] = planned(tmp_path, text.replace("KEY", "repository_settings")).apps
    assert "lib/service/slipway.yml of" in reason(app)
    assert "cannot be read: lib is a submodule" in reason(app)


def test_nothing_is_fetched_in_a_check(tmp_path: Path, asked: list[str]) -> None:
    commit(tmp_path / "web", {"slipway.yml": "replicas: 2\n"})
    first = planned(tmp_path, check=True)
    assert (replicas(first.apps), first.lines) == ({"main": 1}, [])
    [line] = first.unread
    assert line.startswith("web (main): as apps.yml alone has it, for nothing is fetched")
    assert not (tmp_path / "cache").exists()
    assert planned(tmp_path).lines == [f"{tmp_path / 'web'}: fetching main"]
    asked.clear()
    then = planned(tmp_path, check=True)
    assert (replicas(then.apps), then.unread) == ({"main": 2}, [])
    assert asked == ["branches"]


def test_a_check_of_a_repository_that_is_still_to_be_made_says_nothing(tmp_path: Path) -> None:
    found = planned(tmp_path, check=True)
    assert (replicas(found.apps), found.unread) == ({"main": 1}, [])


def test_a_repository_that_does_not_answer_stops_no_other(tmp_path: Path) -> None:
    commit(tmp_path / "web", {"slipway.yml": "replicas: 2\n"})
    commit(tmp_path / "gone", {})
    text = f"{FILE}  - {{name: other, git_url: gone}}\n"
    planned(tmp_path, text)
    shutil.rmtree(tmp_path / "gone")
    *others, gone = planned(tmp_path, text).apps
    assert replicas(others) == {"main": 2}
    assert f"{tmp_path / 'gone'}: git ended with code 128" in reason(gone)


def test_a_session_reads_what_is_not_committed_yet(tmp_path: Path) -> None:
    web = tmp_path / "web"
    commit(web, {"slipway.yml": "replicas: 2\n"})
    planned(tmp_path)
    (web / "slipway.yml").write_text("replicas: 5\n")
    heads = {str(web): heads_of(Mirror(str(web), tmp_path / "cache"))}
    [app] = planned(tmp_path, known=heads).apps
    assert (app.replicas, app.head) == (5, heads[str(web)]["main"])


def test_a_commit_that_is_gone_meanwhile_is_told(tmp_path: Path) -> None:
    commit(tmp_path / "web", {"slipway.yml": "replicas: 2\n"})
    [app] = planned(tmp_path, known={str(tmp_path / "web"): {"main": "0" * 40}}).apps
    assert reason(app) == f"{tmp_path / 'web'} changed meanwhile; run again"


def test_nobody_says_who_asks_where_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = commit(tmp_path / "web", {"slipway.yml": "replicas: 2\n"})
    planned(tmp_path)
    monkeypatch.setattr(Keys, "access", None)
    [app] = planned(
        tmp_path,
        FILE.replace("  - {name: web, git_branch: feature/*}\n", ""),
        known={str(tmp_path / "web"): {"main": head}},
    ).apps
    assert app.replicas == 2

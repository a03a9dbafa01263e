"""Sources come from real repositories."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import Sourced
from slipway.apps.source import fetch as source
from slipway.apps.source.git import Mirror, branches
from slipway.apps.source.git_auth import Access
from slipway.apps.source.working_copy import heads_of
from tests.support.apps import reason
from tests.support.git_samples import commit, git, give_away
from tests.support.sources import app_of, get, sourced, told


def test_each_branch_at_its_commit(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    main = commit(repository, {"file": "main"})
    feature = commit(repository, {"file": "feature"}, "feature/x")

    got = get(tmp_path / "cache", app_of(repository), app_of(repository, "feature/x"))

    apps = sourced(got)
    assert [app.commit for app in apps] == [main, feature]
    places = [Path(app.checkout) for app in apps]
    assert [(place / "file").read_text() for place in places] == ["main", "feature"]
    assert git(places[1], "rev-parse", "HEAD") == feature
    assert git(places[1], "status", "--porcelain") == ""
    assert apps[0].tree == git(repository, "rev-parse", f"{main}^{{tree}}")
    assert got.fetched == [str(repository)]


def test_nothing_is_fetched_twice(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "1"})
    first = get(tmp_path / "cache", app_of(repository))
    again = get(tmp_path / "cache", app_of(repository))
    assert again.apps == first.apps
    assert again.fetched == []

    newer = commit(repository, {"file": "2"})
    later = get(tmp_path / "cache", app_of(repository))
    assert sourced(later)[0].commit == newer
    assert later.fetched == [str(repository)]
    assert Path(sourced(first)[0].checkout, "file").read_text() == "1"


def test_rewritten_history_is_followed(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "1"})
    get(tmp_path / "cache", app_of(repository))
    git(repository, "commit", "-q", "--amend", "-m", "other words")
    [app] = sourced(get(tmp_path / "cache", app_of(repository)))
    assert app.commit == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["feature"], ["feature/login"]),
        (["feature/login"], ["feature"]),
        (["a/b"], ["a/b/c/d", "a/x"]),
        (["a/b/c", "a/b/d", "a/x"], ["a/b", "a/x/y"]),
        (["a/b/c/d", "a/x"], ["a"]),
        (["a'\"$(x)`ü"], ["a'\"$(x)`ü/b"]),
    ],
)
def test_a_branch_takes_the_place_of_one_that_was_deleted(
    tmp_path: Path, before: list[str], after: list[str], packed: bool
) -> None:
    repository, cache = tmp_path / "repository", tmp_path / "cache"
    commit(repository, {"file": "main"})
    for branch in before:
        commit(repository, {"file": branch}, branch)
    sourced(get(cache, *(app_of(repository, branch) for branch in before)))
    if packed:
        git(Mirror(str(repository), cache).path, "pack-refs", "--all")

    git(repository, "checkout", "-q", "main")
    git(repository, "branch", "-q", "-D", *before)
    heads = [commit(repository, {"file": branch}, branch) for branch in after]

    apps = sourced(get(cache, *(app_of(repository, branch) for branch in after)))
    assert [app.commit for app in apps] == heads
    assert Mirror(str(repository), cache).branches().keys() == {*after}


@pytest.mark.parametrize(
    "url",
    ["{}/clone", "{}/bare.git", "{}/linked", "file://{}/clone", "file://{}/b%61re"],
)
def test_a_repository_of_another_user_is_fetched(tmp_path: Path, url: str) -> None:
    clone, cache = tmp_path / "clone", tmp_path / "cache"
    head = commit(clone, {"file": "1"}, "feature/x")
    git(tmp_path, "clone", "-q", "--bare", "clone", "bare.git")
    git(clone, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    for name in ("clone", "bare.git", "linked"):
        give_away(tmp_path / name)
    app = app_of(url.format(tmp_path), "feature/x")
    assert get(cache, app, check=True).apps[0].head == head
    [got] = sourced(get(cache, app))
    assert Path(got.checkout, "file").read_text() == "1"


def test_a_submodule_of_another_user_is_not_trusted_for_the_sake_of_its_repository(
    tmp_path: Path,
) -> None:
    repository = tmp_path / "repository"
    commit(tmp_path / "library", {"file": "1"})
    commit(repository, {"file": "1"})
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "../library", "library")
    git(repository, "commit", "-q", "-m", "a submodule")
    for name in ("library", "repository"):
        give_away(tmp_path / name)
    [app] = get(tmp_path / "cache", app_of(repository)).apps
    assert f"git config --global --add safe.directory {tmp_path}/library/.git" in reason(app)


def test_one_question_for_each_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noting(url: str, access: Access) -> dict[str, str]:
        asked.append(url)
        return branches(url, access)

    monkeypatch.setattr(source, "branches", noting)
    one, two = tmp_path / "one", tmp_path / "two"
    for repository in (one, two):
        commit(repository, {"file": "x"})
    get(tmp_path / "cache", app_of(one), app_of(two), app_of(one, name="b"), app_of(two, name="c"))
    assert sorted(asked) == [str(one), str(two)]


def test_missing_branch_names_the_nearest_and_others_go_on(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "x"})
    commit(repository, {"file": "y"}, "feature/login")
    bad, odd, good = get(
        tmp_path / "cache",
        app_of(repository, "feature/logni"),
        app_of(repository, "zzz"),
        app_of(repository),
    ).apps
    assert bad.failed
    assert bad.failed.step == "source"
    assert "no branch feature/logni; did you mean feature/login?" in bad.failed.reason
    assert "it has feature/login, main" in reason(odd)
    assert not good.failed


def test_repository_without_branches(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    [bad] = get(tmp_path / "cache", app_of(tmp_path / "empty.git")).apps
    assert "no branches at all" in reason(bad)


def test_dead_urls_fail_soon_without_asking_and_others_go_on(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "x"})
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    started = time.monotonic()
    gone, refused, ssh, good = get(
        tmp_path / "cache",
        app_of(tmp_path / "nowhere"),
        app_of(f"http://127.0.0.1:{closed}/web.git"),
        app_of(f"ssh://git@127.0.0.1:{closed}/web.git"),
        app_of(repository),
    ).apps
    assert time.monotonic() - started < 10
    assert "does not appear to be a git repository" in reason(gone)
    assert "Failed to connect" in reason(refused)
    assert "Connection refused" in reason(ssh)
    assert not good.failed


def test_a_server_that_wants_a_password_is_not_waited_for(tmp_path: Path) -> None:
    class Locked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=x")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Locked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        [bad] = get(
            tmp_path / "cache", app_of(f"http://127.0.0.1:{server.server_port}/web.git")
        ).apps
        server.shutdown()
    assert "terminal prompts disabled" in reason(bad)


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.apps.source.git.ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/web.git"
        [bad] = get(tmp_path / "cache", app_of(url)).apps
    assert "took longer than 0 s" in reason(bad)


def test_check_looks_and_leaves_everything(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    head = commit(repository, {"file": "x"})
    new, missing, bad = get(
        tmp_path / "cache",
        app_of(repository),
        app_of(tmp_path / "to-come.git"),
        app_of(repository, "nope"),
        check=True,
    ).apps
    assert new.newest_commit == head
    assert not isinstance(new, Sourced)
    assert missing.newest_commit == ""
    assert not missing.failed
    assert bad.failed
    assert not (tmp_path / "cache").exists()

    got = get(tmp_path / "cache", app_of(repository))
    checked = get(tmp_path / "cache", app_of(repository), check=True)
    assert checked.apps == got.apps


@pytest.mark.parametrize("check", [False, True])
def test_known_heads_hold_without_a_question(tmp_path: Path, check: bool) -> None:
    repository = tmp_path / "repository"
    known = commit(repository, {"file": "1"})
    web = app_of(f"file://{repository}")
    first = get(tmp_path / "cache", web)
    repository.rename(tmp_path / "away")
    assert get(tmp_path / "cache", web).apps[0].failed

    got = told(tmp_path / "cache", {web.git_url: {"main": known}}, web, check=check)

    assert got.fetched == []
    assert got.apps == first.apps
    assert sourced(got)


def test_a_known_head_holds_although_the_branch_has_moved(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    known = commit(repository, {"file": "1"})
    commit(repository, {"file": "2"})
    got = told(tmp_path / "cache", {repository: {"main": known}}, app_of(repository))
    assert got.fetched == [str(repository)]
    assert Path(sourced(got)[0].checkout, "file").read_text() == "1"


def test_a_known_head_may_be_what_is_not_committed(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "committed"})
    get(tmp_path / "cache", app_of(repository))
    (repository / "file").write_text("saved")
    heads = heads_of(Mirror(str(repository), tmp_path / "cache"))
    [app] = sourced(told(tmp_path / "cache", {repository: heads}, app_of(repository)))
    assert app.commit == heads["main"]
    assert Path(app.checkout, "file").read_text() == "saved"


def test_repositories_without_known_heads_are_asked_for(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    known = commit(one, {"file": "1"})
    heads = [commit(two, {"file": "1"}), commit(two, {"file": "2"}, "feature/x")]
    got = told(
        tmp_path / "cache",
        {one: {"main": known}},
        app_of(one, name="one"),
        app_of(two),
        app_of(two, "feature/x"),
    )
    assert [app.commit for app in sourced(got)] == [known, *heads]


def test_a_known_head_also_holds_beside_a_branch_that_there_is_not(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    known = commit(repository, {"file": "1"})
    commit(repository, {"file": "2"})
    good, bad = told(
        tmp_path / "cache",
        {repository: {"main": known}},
        app_of(repository),
        app_of(repository, "nope"),
    ).apps
    assert "no branch nope" in reason(bad)
    assert isinstance(good, Sourced)
    assert good.commit == known


def test_a_branch_that_cannot_be_laid_out_fails_alone(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "main"})
    commit(repository, {".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = /nowhere\n'}, "odd")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    git(repository, "commit", "-q", "-m", "a submodule from nowhere")
    good, odd = get(tmp_path / "cache", app_of(repository), app_of(repository, "odd")).apps
    assert isinstance(good, Sourced)
    assert not good.failed
    assert odd.failed
    assert odd.failed.step == "source"
    assert "nowhere" in odd.failed.reason


def test_a_branch_that_cannot_be_fetched_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "main"})
    heads = {**branches(str(repository)), "gone": "2" * 40}
    monkeypatch.setattr(source, "branches", lambda _url, _access: heads)
    good, gone = get(tmp_path / "cache", app_of(repository), app_of(repository, "gone")).apps
    assert isinstance(good, Sourced)
    assert "gone" in reason(gone)


def test_what_nobody_foresaw_fails_its_repository_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("web", "odd"):
        commit(tmp_path / name, {"file": name})

    def asked(url: str, access: Access) -> dict[str, str]:
        if url.endswith("odd"):
            raise ValueError("not enough values to unpack")
        return branches(url, access)

    monkeypatch.setattr(source, "branches", asked)
    wanted = app_of(tmp_path / "web"), app_of(tmp_path / "odd", name="odd")
    web, odd = get(tmp_path / "cache", *wanted).apps
    assert isinstance(web, Sourced)
    assert "unexpected ValueError: not enough values" in reason(odd)

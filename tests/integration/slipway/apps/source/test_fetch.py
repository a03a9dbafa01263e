"""Sources come from real repositories."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.source import fetch as source
from slipway.apps.source.git import Mirror, branches
from slipway.apps.source.git_auth import Access
from slipway.apps.source.working_copy import heads_of
from tests.support.git_samples import commit, git
from tests.support.sources import get, record, told


def test_each_branch_at_its_commit(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    main = commit(repository, {"file": "main"})
    feature = commit(repository, {"file": "feature"}, "feature/x")

    got = get(tmp_path / "cache", record(repository), record(repository, "feature/x"))

    assert [each["commit"] for each in got.records] == [main, feature]
    places = [Path(each["checkout"]) for each in got.records]
    assert [(place / "file").read_text() for place in places] == ["main", "feature"]
    assert git(places[1], "rev-parse", "HEAD") == feature
    assert git(places[1], "status", "--porcelain") == ""
    assert got.records[0]["tree"] == git(repository, "rev-parse", f"{main}^{{tree}}")
    assert got.fetched == [str(repository)]


def test_nothing_is_fetched_twice(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "1"})
    first = get(tmp_path / "cache", record(repository))
    again = get(tmp_path / "cache", record(repository))
    assert again.records == first.records
    assert again.fetched == []

    newer = commit(repository, {"file": "2"})
    later = get(tmp_path / "cache", record(repository))
    assert later.records[0]["commit"] == newer
    assert later.fetched == [str(repository)]
    assert Path(first.records[0]["checkout"], "file").read_text() == "1"


def test_rewritten_history_is_followed(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "1"})
    get(tmp_path / "cache", record(repository))
    git(repository, "commit", "-q", "--amend", "-m", "other words")
    assert get(tmp_path / "cache", record(repository)).records[0]["commit"] == git(
        repository, "rev-parse", "HEAD"
    )


def test_one_question_for_each_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noting(url: str, access: Access) -> dict[str, str]:
        asked.append(url)
        return branches(url, access)

    monkeypatch.setattr(source, "branches", noting)
    one, two = tmp_path / "one", tmp_path / "two"
    for repository in (one, two):
        commit(repository, {"file": "x"})
    get(tmp_path / "cache", record(one), record(two), record(one, name="b"), record(two, name="c"))
    assert sorted(asked) == [str(one), str(two)]


def test_missing_branch_names_the_nearest_and_others_go_on(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "x"})
    commit(repository, {"file": "y"}, "feature/login")
    bad, odd, good = get(
        tmp_path / "cache",
        record(repository, "feature/logni"),
        record(repository, "zzz"),
        record(repository),
    ).records
    assert bad["failed"]["step"] == "source"
    assert "no branch feature/logni; did you mean feature/login?" in bad["failed"]["reason"]
    assert "it has feature/login, main" in odd["failed"]["reason"]
    assert "failed" not in good


def test_repository_without_branches(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    [bad] = get(tmp_path / "cache", record(tmp_path / "empty.git")).records
    assert "no branches at all" in bad["failed"]["reason"]


def test_dead_urls_fail_soon_without_asking_and_others_go_on(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "x"})
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    started = time.monotonic()
    gone, refused, ssh, good = get(
        tmp_path / "cache",
        record(tmp_path / "nowhere"),
        record(f"http://127.0.0.1:{closed}/web.git"),
        record(f"ssh://git@127.0.0.1:{closed}/web.git"),
        record(repository),
    ).records
    assert time.monotonic() - started < 10
    assert "does not appear to be a git repository" in gone["failed"]["reason"]
    assert "Failed to connect" in refused["failed"]["reason"]
    assert "Connection refused" in ssh["failed"]["reason"]
    assert "failed" not in good


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
            tmp_path / "cache", record(f"http://127.0.0.1:{server.server_port}/web.git")
        ).records
        server.shutdown()
    assert "terminal prompts disabled" in bad["failed"]["reason"]


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.apps.source.git.ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/web.git"
        [bad] = get(tmp_path / "cache", record(url)).records
    assert "took longer than 0 s" in bad["failed"]["reason"]


def test_check_looks_and_leaves_everything(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    head = commit(repository, {"file": "x"})
    new, missing, bad = get(
        tmp_path / "cache",
        record(repository),
        record(tmp_path / "to-come.git"),
        record(repository, "nope"),
        check=True,
    ).records
    assert new["commit"] == head
    assert "checkout" not in new
    assert "commit" not in missing
    assert "failed" not in missing
    assert "failed" in bad
    assert not (tmp_path / "cache").exists()

    got = get(tmp_path / "cache", record(repository))
    checked = get(tmp_path / "cache", record(repository), check=True)
    assert checked.records == got.records


@pytest.mark.parametrize("check", [False, True])
def test_known_heads_hold_without_a_question(tmp_path: Path, check: bool) -> None:
    repository = tmp_path / "repository"
    known = commit(repository, {"file": "1"})
    web = record(f"file://{repository}")
    first = get(tmp_path / "cache", web)
    repository.rename(tmp_path / "away")
    assert "failed" in get(tmp_path / "cache", web).records[0]

    got = told(tmp_path / "cache", {web["git_url"]: {"main": known}}, web, check=check)

    assert got.fetched == []
    assert got.records == first.records


def test_a_known_head_holds_although_the_branch_has_moved(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    known = commit(repository, {"file": "1"})
    commit(repository, {"file": "2"})
    got = told(tmp_path / "cache", {repository: {"main": known}}, record(repository))
    assert got.fetched == [str(repository)]
    assert Path(got.records[0]["checkout"], "file").read_text() == "1"


def test_a_known_head_may_be_what_is_not_committed(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "committed"})
    get(tmp_path / "cache", record(repository))
    (repository / "file").write_text("saved")
    heads = heads_of(Mirror(str(repository), tmp_path / "cache"))
    [got] = told(tmp_path / "cache", {repository: heads}, record(repository)).records
    assert got["commit"] == heads["main"]
    assert Path(got["checkout"], "file").read_text() == "saved"


def test_repositories_without_known_heads_are_asked_for(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    known = commit(one, {"file": "1"})
    heads = [commit(two, {"file": "1"}), commit(two, {"file": "2"}, "feature/x")]
    got = told(
        tmp_path / "cache",
        {one: {"main": known}},
        record(one),
        record(two),
        record(two, "feature/x"),
    )
    assert [each["commit"] for each in got.records] == [known, *heads]


def test_a_known_head_also_holds_beside_a_branch_that_there_is_not(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    known = commit(repository, {"file": "1"})
    commit(repository, {"file": "2"})
    good, bad = told(
        tmp_path / "cache",
        {repository: {"main": known}},
        record(repository),
        record(repository, "nope"),
    ).records
    assert "no branch nope" in bad["failed"]["reason"]
    assert good["commit"] == known


def test_a_branch_that_cannot_be_laid_out_fails_alone(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "main"})
    commit(repository, {".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = /nowhere\n'}, "odd")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    git(repository, "commit", "-q", "-m", "a submodule from nowhere")
    records = get(tmp_path / "cache", record(repository), record(repository, "odd")).records
    assert "checkout" in records[0]
    assert "failed" not in records[0]
    assert records[1]["failed"]["step"] == "source"
    assert "nowhere" in records[1]["failed"]["reason"]


def test_a_branch_that_cannot_be_fetched_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "main"})
    heads = {**branches(str(repository)), "gone": "2" * 40}
    monkeypatch.setattr(source, "branches", lambda _url, _access: heads)
    records = get(tmp_path / "cache", record(repository), record(repository, "gone")).records
    assert "checkout" in records[0]
    assert "gone" in records[1]["failed"]["reason"]


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
    records = get(tmp_path / "cache", record(tmp_path / "web"), record(tmp_path / "odd")).records
    assert "checkout" in records[0]
    assert "unexpected ValueError: not enough values" in records[1]["failed"]["reason"]

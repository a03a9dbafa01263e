"""Repositories that want to know who asks: real servers, and a double of GitHub's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.apps.app import Sourced
from slipway.apps.source.fetch import Sources
from tests.support import git_servers
from tests.support.git_access import TOKEN, app_of, content, get, reason
from tests.support.git_samples import git
from tests.support.git_servers import Https, Sshd
from tests.support.leaks import Canaries, ProcessWatch


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> Iterator[Https]:
    with git_servers.https(tmp_path / "served", TOKEN, tmp_path) as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield server


def checkout(got: Sources) -> Path:
    """The work tree of the first app."""
    app = got.apps[0]
    assert isinstance(app, Sourced), app.failed
    return Path(app.checkout)


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_token_opens_and_stays_nowhere(
    tmp_path: Path, https: Https, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[credential]\n  helper = store\n")
    monkeypatch.setenv("HOME", str(home))
    app = app_of(https.url("owner/web.git"), {"token": "t"})
    with ProcessWatch(Canaries({"t": TOKEN})) as watch:
        got = get(tmp_path / "cache", app, t=f"{TOKEN}\n")
    assert watch.seen == set()
    assert content(got) == "content"
    assert https.requests
    assert TOKEN.encode() not in everything_below(tmp_path / "cache")
    assert [path.name for path in home.iterdir()] == [".gitconfig"]
    assert git(checkout(got), "remote", "get-url", "origin") == https.url("owner/web.git")


def test_another_user_name_goes_with_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    with git_servers.https(tmp_path / "served", TOKEN, tmp_path, user="oauth2") as server:
        monkeypatch.setenv("GIT_SSL_CAINFO", str(server.certificate))
        url = server.url("owner/web.git")
        good = get(tmp_path / "cache", app_of(url, {"token": "t", "user": "oauth2"}), t=TOKEN)
        bad = get(tmp_path / "cache", app_of(url, {"token": "t"}), t=TOKEN)
    assert content(good) == "content"
    assert "Authentication failed" in reason(bad)


def test_two_apps_of_one_repository_with_different_tokens(tmp_path: Path, https: Https) -> None:
    url = https.url("owner/web.git")
    got = get(
        tmp_path / "cache",
        app_of(url, {"token": "wrong"}, "a"),
        app_of(url, {"token": "right"}, "b"),
        app_of(url, None, "c"),
        wrong="canary-wrong-token",
        right=TOKEN,
    )
    assert "Authentication failed" in reason(got, 0)
    assert "fix: put a token that may read the repository into the secret wrong" in reason(got, 0)
    assert "canary" not in reason(got, 0)
    assert content(got, 1) == "content"
    assert "terminal prompts disabled" in reason(got, 2)
    assert "git_auth: {token: ...}" in reason(got, 2)


def test_the_token_is_for_its_server_alone(
    tmp_path: Path, https: Https, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's own configuration leads elsewhere, and the token does not go there."""
    elsewhere = https.url("").replace("localhost", "127.0.0.1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{elsewhere}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://other.test/")
    monkeypatch.setenv("GIT_CONFIG_KEY_1", "http.sslVerify")
    monkeypatch.setenv("GIT_CONFIG_VALUE_1", "false")
    url = "https://other.test/owner/web.git"
    got = get(tmp_path / "cache", app_of(url, {"token": "t"}), t=TOKEN)
    assert "could not read Username" in reason(got)
    assert https.requests == []


def test_an_ssh_key_opens_and_stays_nowhere(tmp_path: Path, sshd: Sshd, repository: Path) -> None:
    private, public = git_servers.key_pair(tmp_path, "deploy")
    sshd.authorize(public)
    auth = {"ssh_key": "k", "known_hosts": sshd.known_hosts}
    with ProcessWatch(Canaries({"k": private})) as watch:
        got = get(tmp_path / "cache", app_of(sshd.url(repository), auth), k=private)
    assert watch.seen == set()
    assert content(got) == "content"
    assert private.splitlines()[2].encode() not in everything_below(tmp_path / "cache")


def test_two_apps_of_one_server_with_different_keys(
    tmp_path: Path, sshd: Sshd, repository: Path
) -> None:
    private, public = git_servers.key_pair(tmp_path, "deploy")
    other, _ = git_servers.key_pair(tmp_path, "other")
    sshd.authorize(public)
    known = {"known_hosts": sshd.known_hosts}
    url = sshd.url(repository)
    got = get(
        tmp_path / "cache",
        app_of(url, {"ssh_key": "good", **known}),
        app_of(url, {"ssh_key": "bad", **known}),
        app_of(url, {"ssh_key": "torn", **known}),
        good=private,
        bad=other,
        torn=private.replace("b3Blbn", "b3BlbZ"),
    )
    assert content(got) == "content"
    assert "Permission denied" in reason(got, 1)
    assert "let the key of the secret bad read the repository" in reason(got, 1)
    assert "put a private key without a passphrase, with all its lines, into torn" in reason(got, 2)


def test_an_unknown_or_changed_server_is_not_trusted(
    tmp_path: Path, sshd: Sshd, repository: Path
) -> None:
    private, public = git_servers.key_pair(tmp_path, "deploy")
    sshd.authorize(public)
    host = sshd.known_hosts.split()[0]
    url = sshd.url(repository)
    unknown, changed = (
        reason(get(tmp_path / "cache", app_of(url, auth), k=private))
        for auth in (
            {"ssh_key": "k", "known_hosts": f"elsewhere.test {public}"},
            {"ssh_key": "k", "known_hosts": f"{host} {public}"},
        )
    )
    assert "Host key verification failed" in unknown
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1" in unknown
    assert "compare it with what the server's owner publishes" in unknown
    assert "the server shows another key than the known one" in changed


def test_what_a_server_says_is_masked(tmp_path: Path, sshd: Sshd, repository: Path) -> None:
    private, public = git_servers.key_pair(tmp_path, "deploy")
    sshd.authorize(public, command="echo your password is canary-other >&2; false")
    auth = {"ssh_key": "k", "known_hosts": sshd.known_hosts}
    got = get(tmp_path / "cache", app_of(sshd.url(repository), auth), k=private, o="canary-other")
    assert "your password is ***" in reason(got)

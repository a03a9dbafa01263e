"""What a repository gets by naming other ones in its .gitmodules."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from slipway.apps.app import App, Sourced
from slipway.apps.source.git import Mirror
from tests.support import git_servers
from tests.support.apps import reason
from tests.support.git_access import TOKEN, app_of, content, get
from tests.support.git_samples import commit, git
from tests.support.git_servers import Https, Sshd

ADD = ("-c", "protocol.file.allow=always", "submodule", "add")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    commit(folder, {"part": "of it"})
    return folder


@pytest.fixture
def whole(tmp_path: Path, library: Path) -> Callable[[str], Path]:
    """Makes a repository that names a URL as where its submodule is from."""

    def made(url: str) -> Path:
        folder = tmp_path / "whole"
        commit(folder, {"file": "x"})
        git(folder, *ADD, str(library), "library")
        git(folder, "config", "--file", ".gitmodules", "submodule.library.url", url)
        git(folder, "commit", "-qam", "library")
        return folder

    return made


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Path) -> Iterator[Https]:
    served = tmp_path / "served"
    with git_servers.https(served, TOKEN, tmp_path) as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        git_servers.bare_copy(library, served / "owner/library.git")
        yield server


def part(app: App) -> str:
    """What the submodule has."""
    assert isinstance(app, Sourced), app.failed
    return Path(app.checkout, "library/part").read_text()


def serve(https: Https, folder: Path, tmp_path: Path) -> str:
    git_servers.bare_copy(folder, tmp_path / "served/owner/whole.git")
    return https.url("owner/whole.git")


@pytest.mark.parametrize("named", ["../library.git", "{}/owner/library.git", "../../owner/library"])
def test_a_token_is_not_for_other_repositories_of_its_server(
    tmp_path: Path, https: Https, whole: Callable[[str], Path], named: str
) -> None:
    url = serve(https, whole(named.format(https.url("").rstrip("/"))), tmp_path)
    [app] = get(tmp_path / "cache", app_of(url, {"token": "t"}), t=TOKEN).apps
    assert "submodule library of " in reason(app)
    assert "could not read Username" in reason(app)
    assert "add it in apps.yml: git_submodules: [https://localhost:" in reason(app)
    assert not any("library" in request for request in https.requests)


@pytest.mark.parametrize("granted", ["owner/library.git", "owner/library", "owner/library/"])
def test_a_repository_that_is_granted_comes_by_the_same_token(
    tmp_path: Path, https: Https, whole: Callable[[str], Path], granted: str
) -> None:
    url = serve(https, whole("../library.git"), tmp_path)
    app = app_of(url, {"token": "t"}, submodules=[https.url(granted)])
    got = get(tmp_path / "cache", app, t=TOKEN)
    assert content(got) == "x"
    assert part(got.apps[0]) == "of it"


def test_what_the_user_has_passwords_for_is_not_for_submodules(
    tmp_path: Path,
    https: Https,
    whole: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a repository without git_auth: by a helper of git's, and by what curl reads."""
    home = tmp_path / "home"
    home.mkdir()
    site = f"https://x-access-token:{TOKEN}@localhost".replace("/with", "%2Fwith")
    (home / "stored").write_text(f"{site}:{https.port}\n".replace("+", "%2B"))
    (home / ".gitconfig").write_text(
        f"[credential]\n  helper = store --file={home}/stored\n"
        '[protocol "file"]\n  allow = always\n'
    )
    (home / ".netrc").write_text(f"machine localhost login x-access-token password {TOKEN}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    url = serve(https, whole("../library.git"), tmp_path)
    [app] = get(tmp_path / "cache", app_of(url, None)).apps
    assert "could not read Username" in reason(app)
    assert any("whole" in request for request in https.requests)
    assert not any("library" in request for request in https.requests)
    [app] = get(
        tmp_path / "cache", app_of(url, None, submodules=[https.url("owner/library.git")])
    ).apps
    assert part(app) == "of it"


def test_a_key_is_not_for_submodules(
    tmp_path: Path, sshd: Sshd, library: Path, whole: Callable[[str], Path]
) -> None:
    private, public = git_servers.key_pair(tmp_path, "deploy")
    sshd.authorize(public)
    auth = {"ssh_key": "k", "known_hosts": sshd.known_hosts}
    url = sshd.url(whole(sshd.url(library)))
    [app] = get(tmp_path / "cache", app_of(url, auth), k=private).apps
    assert "transport 'ssh' not allowed" in reason(app)
    granted = app_of(url, auth, submodules=[sshd.url(library)])
    assert part(get(tmp_path / "cache", granted, k=private).apps[0]) == "of it"


def test_submodules_of_a_repository_on_this_machine_may_be_there_too(
    tmp_path: Path, whole: Callable[[str], Path]
) -> None:
    got = get(tmp_path / "cache", app_of(str(whole("../library")), None))
    assert content(got) == "x"
    assert part(got.apps[0]) == "of it"


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/../{name}"])
def test_no_submodule_comes_from_the_mirror_of_another_repository(
    tmp_path: Path, library: Path, whole: Callable[[str], Path], form: str
) -> None:
    cache = tmp_path / "cache"
    get(cache, app_of(str(library), None, "private"))
    mirror = Mirror(str(library), cache).path
    url = form.format(mirror, name=mirror.name)
    [app] = get(cache, app_of(str(whole(url)), None)).apps
    assert "is in Slipway's own cache" in reason(app)


def test_a_linked_folder_leads_to_no_mirror_either(
    tmp_path: Path, library: Path, whole: Callable[[str], Path]
) -> None:
    cache = tmp_path / "cache"
    get(cache, app_of(str(library), None, "private"))
    (tmp_path / "link").symlink_to(Mirror(str(library), cache).path)
    [app] = get(cache, app_of(str(whole("../link")), None)).apps
    assert "is in Slipway's own cache" in reason(app)


@pytest.mark.parametrize("odd", ["a#", "b?", "%FF"])
def test_no_letter_of_a_url_leads_past_that(
    tmp_path: Path, library: Path, whole: Callable[[str], Path], odd: str
) -> None:
    """Git takes them for letters of the path, and other programs for the end of it."""
    cache = tmp_path / "cache"
    get(cache, app_of(str(library), None, "private"))
    mirror = Mirror(str(library), cache).path
    folder = Path(unquote(odd, errors="surrogateescape"))
    (tmp_path / folder).symlink_to(mirror.parent)
    [app] = get(cache, app_of(str(whole(f"file://{tmp_path}/{odd}/{mirror.name}")), None)).apps
    assert "is in Slipway's own cache" in reason(app)


@pytest.mark.parametrize("form", ["{}", "file://{}", "../../../../../../../..{}"])
def test_a_repository_of_a_server_has_no_submodule_on_this_machine(
    tmp_path: Path, https: Https, library: Path, whole: Callable[[str], Path], form: str
) -> None:
    url = serve(https, whole(form.format(library)), tmp_path)
    [app] = get(tmp_path / "cache", app_of(url, {"token": "t"}), t=TOKEN).apps
    assert isinstance(app, App)
    assert not isinstance(app, Sourced)
    assert reason(app)


@pytest.mark.parametrize("url", ["ext::sh -c touch% {0}/done", "other::x", "ftp://localhost/x"])
def test_no_other_protocol_is_spoken(
    tmp_path: Path, whole: Callable[[str], Path], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the user's own configuration lets git do."""
    for name, value in {"COUNT": "1", "KEY_0": "protocol.allow", "VALUE_0": "always"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    [app] = get(tmp_path / "cache", app_of(str(whole(url.format(tmp_path))), None)).apps
    assert "not allowed" in reason(app)
    assert not (tmp_path / "done").exists()
    [app] = get(tmp_path / "cache", app_of(url.format(tmp_path), None)).apps
    assert "not allowed" in reason(app)
    assert not (tmp_path / "done").exists()


def test_submodules_in_one_another_come_over_to_a_depth(tmp_path: Path) -> None:
    below = tmp_path / "0"
    commit(below, {"file": "0"})
    for depth in range(1, 13):
        folder = tmp_path / str(depth)
        commit(folder, {"file": str(depth)})
        git(folder, *ADD, str(below), "sub")
        git(folder, "commit", "-qm", "sub")
        below = folder
    deep, deeper = get(
        tmp_path / "cache",
        app_of(str(tmp_path / "9"), None, "deep"),
        app_of(str(tmp_path / "12"), None, "deeper"),
    ).apps
    assert isinstance(deep, Sourced)
    assert Path(deep.checkout, *["sub"] * 9, "file").read_text() == "0"
    assert "is more than 10 submodules deep" in reason(deeper)


def test_a_linked_gitmodules_is_not_read(tmp_path: Path, whole: Callable[[str], Path]) -> None:
    folder = whole("../library")
    (tmp_path / "outside").write_bytes((folder / ".gitmodules").read_bytes())
    (folder / ".gitmodules").unlink()
    (folder / ".gitmodules").symlink_to(tmp_path / "outside")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "link")
    [app] = get(tmp_path / "cache", app_of(str(folder), None)).apps
    assert ".gitmodules" in reason(app)


def tree_with_a_mode(repository: Path, mode: bytes) -> str:
    """A commit whose tree writes the mode of its only file in this way."""
    blob = bytes.fromhex(git(repository, "rev-parse", "HEAD:file"))
    tree = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        input=mode + b" file\0" + blob,
        cwd=repository,
        check=True,
        capture_output=True,
    ).stdout
    return git(repository, "commit-tree", "-m", "odd", tree.decode().strip())


def test_objects_are_checked_as_they_come(tmp_path: Path) -> None:
    """A name that leads out of the work tree, as git's own clients cannot write it."""
    repository = tmp_path / "repository"
    commit(repository, {"file": "x"})
    blob = bytes.fromhex(git(repository, "rev-parse", "HEAD:file"))
    tree = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        input=b"100644 .git\0" + blob,
        cwd=repository,
        check=True,
        capture_output=True,
    ).stdout
    made = git(repository, "commit-tree", "-m", "odd", tree.decode().strip())
    git(repository, "update-ref", "refs/heads/odd", made)
    [app] = get(tmp_path / "cache", app_of_branch(repository, "odd")).apps
    assert "hasDotgit" in reason(app)


def test_what_old_tools_wrote_is_taken(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit(repository, {"file": "x"})
    made = tree_with_a_mode(repository, b"0100644")
    git(repository, "update-ref", "refs/heads/old", made)
    assert content(get(tmp_path / "cache", app_of_branch(repository, "old"))) == "x"


def app_of_branch(repository: Path, branch: str) -> App:
    app = app_of(str(repository), None)
    app.git_branch = branch
    return app

"""Mirrors of real repositories: what a commit has, and what of the past they lack."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.apps.app import App
from slipway.apps.source.fetch import Sources
from slipway.apps.source.git import Mirror
from slipway.errors import SlipwayError
from slipway.files import Refused
from tests.support import git_servers
from tests.support.git_access import TOKEN, app_of, content, get, reason
from tests.support.git_samples import commit, git
from tests.support.git_servers import Https

LARGEST = 1024
FILES = {"file": "content", **{f"more/{number}": str(number) for number in range(20)}}
TIDY = {"gc.auto": "1", "gc.autoPackLimit": "2", "gc.autoDetach": "false", "gc.pruneExpire": "now"}
"""Settings by which git tidies up after each fetch."""


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A repository whose files had other content before."""
    for number in range(9):
        commit(tmp_path / "work", dict.fromkeys(FILES, f"before {number}"))
    commit(tmp_path / "work", FILES)
    served = git_servers.bare_copy(tmp_path / "work", tmp_path / "served" / "web.git")
    git(served, "config", "uploadpack.allowFilter", "true")
    git(served, "gc", "-q")  # with bitmaps, as servers have them
    return served


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: Path) -> Iterator[Https]:
    with git_servers.https(tmp_path / "served", TOKEN, tmp_path) as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def web(https: Https) -> App:
    """An app of the repository, which wants to know who asks."""
    return app_of(https.url("web.git"), {"token": "t"})


def mirror_of(app: App, cache: Path) -> Path:
    return Mirror(app.git_url, cache).path


def lacking(mirror: Path) -> int:
    """How many objects of its history a mirror lacks."""
    walk = ("rev-list", "--quiet", "--objects", "--missing=print", "--all")
    return len(git(mirror, *walk).splitlines())


def configure(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Have git's user have some settings."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (name, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", name)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)


def pushed(tmp_path: Path, files: dict[str, str], branch: str = "main") -> str:
    """Have the server have one commit more."""
    made = commit(tmp_path / "work", files, branch)
    git(tmp_path / "work", "push", "-q", str(tmp_path / "served" / "web.git"), branch)
    return made


def fetched(cache: Path, app: App) -> Sources:
    return get(cache, app, t=TOKEN)


def test_files_of_the_past_stay_with_the_server(tmp_path: Path, web: App, https: Https) -> None:
    got = fetched(tmp_path / "cache", web)
    assert content(got) == "content"
    assert lacking(mirror_of(web, tmp_path / "cache")) == 9
    assert len(https.requests) < 10, "files come one by one"


def test_a_work_tree_is_whole_and_knows_its_history(tmp_path: Path, web: App) -> None:
    got = fetched(tmp_path / "cache", web)
    tree = Path(got.apps[0].checkout)  # type: ignore[attr-defined]
    assert git(tree, "status", "--short") == ""
    assert len(git(tree, "log", "--format=%s").splitlines()) == 10
    assert git(tree, "rev-parse", "HEAD:file") == git(tree, "hash-object", "file")


def test_only_what_is_new_comes_with_a_new_commit(tmp_path: Path, web: App, https: Https) -> None:
    fetched(tmp_path / "cache", web)
    mirror = mirror_of(web, tmp_path / "cache")
    for number in range(3):
        pushed(tmp_path, {"file": f"later {number}"})
        assert content(fetched(tmp_path / "cache", web)) == f"later {number}"
    assert lacking(mirror) == 9
    https.requests.clear()
    assert content(fetched(tmp_path / "cache", web)) == "later 2"
    assert not [each for each in https.requests if "upload-pack" not in each]
    assert len(https.requests) == 2, "the server is asked for more than its branches"


def test_a_folder_is_known_without_its_files(tmp_path: Path, https: Https) -> None:
    app = app_of(https.url("web.git"), {"token": "t"})
    app.git_path = "more"
    before = fetched(tmp_path / "cache", app).apps[0]
    pushed(tmp_path, {"file": "elsewhere"})
    after = fetched(tmp_path / "cache", app).apps[0]
    assert (before.commit, before.tree) == (after.commit, after.tree)  # type: ignore[attr-defined]
    assert lacking(mirror_of(app, tmp_path / "cache")) == 9


def test_a_server_that_leaves_nothing_out_gives_all(
    tmp_path: Path, web: App, history: Path
) -> None:
    git(history, "config", "uploadpack.allowFilter", "false")
    assert content(fetched(tmp_path / "cache", web)) == "content"
    assert lacking(mirror_of(web, tmp_path / "cache")) == 0


def test_a_server_may_stop_leaving_things_out(tmp_path: Path, web: App, history: Path) -> None:
    fetched(tmp_path / "cache", web)
    git(history, "config", "uploadpack.allowFilter", "false")
    pushed(tmp_path, {"file": "content, and more"})
    assert content(fetched(tmp_path / "cache", web)) == "content, and more"
    pushed(tmp_path, {"file": "before 3"}, "other")
    web.git_branch = "other"
    assert content(fetched(tmp_path / "cache", web)) == "before 3"


def test_a_server_that_gives_no_single_file_gives_all(
    tmp_path: Path, web: App, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, {"protocol.version": "0", **TIDY})
    assert content(fetched(tmp_path / "cache", web)) == "content"
    mirror = mirror_of(web, tmp_path / "cache")
    assert lacking(mirror) == 0
    pushed(tmp_path, {"file": "before 3"})
    assert content(fetched(tmp_path / "cache", web)) == "before 3"
    git(mirror, "-c", "remote.slipway.promisor=true", "gc", "--quiet", "--prune=now")
    assert lacking(mirror) == 0
    assert [path.name for path in mirror.iterdir() if path.name.startswith("tmp")] == []


def test_whoever_may_not_in_gets_no_file_either(tmp_path: Path, web: App) -> None:
    mirror = Mirror(web.git_url, tmp_path / "cache")
    fetched(tmp_path / "cache", web)
    shutil.rmtree(tmp_path / "cache" / "source")
    head = pushed(tmp_path, {"file": "secret"})
    with pytest.raises(SlipwayError):
        mirror.lay_out(head)
    assert "Authentication failed" in reason(get(tmp_path / "cache", web, t="wrong"))
    assert not list((tmp_path / "cache" / "source").rglob("file"))
    assert content(fetched(tmp_path / "cache", web)) == "secret"


@pytest.mark.parametrize("step", ["_bring", "_complete"])
def test_what_was_interrupted_goes_on(
    tmp_path: Path, web: App, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Mirror, step, interrupted)
        fetched(tmp_path / "cache", web)
    mirror = mirror_of(web, tmp_path / "cache")
    (mirror / "objects" / "pack" / "tmp_pack_abc").write_bytes(b"PACK")
    assert content(fetched(tmp_path / "cache", web)) == "content"
    assert lacking(mirror) == 9


def test_a_mirror_that_is_whole_stays_so(
    tmp_path: Path, web: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("slipway.apps.source.git.local_path", Path)  # as mirrors were once made
        fetched(tmp_path / "cache", web)
    mirror = mirror_of(web, tmp_path / "cache")
    assert lacking(mirror) == 0
    pushed(tmp_path, {"file": "new"})
    pushed(tmp_path, {"file": "newer"})
    assert content(fetched(tmp_path / "cache", web)) == "newer"
    assert lacking(mirror) == 0


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_mirror_of_this_machine_is_whole(tmp_path: Path, history: Path, form: str) -> None:
    app = app_of(form.format(history), None)
    assert content(get(tmp_path / "cache", app)) == "content"
    assert lacking(mirror_of(app, tmp_path / "cache")) == 0


def test_git_tidies_a_mirror_up_and_loses_nothing(
    tmp_path: Path, web: App, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"maintenance.incremental-repack.enabled": "true"}
    configure(monkeypatch, {**TIDY, **more, "maintenance.incremental-repack.auto": "-1"})
    mirror = mirror_of(web, tmp_path / "cache")
    trees = []
    for number in range(4):
        git(tmp_path / "work", "checkout", "-q", "--orphan", f"new-{number}")
        head = pushed(tmp_path, {"file": f"later {number}"}, f"new-{number}")
        git(history, "update-ref", "refs/heads/main", head)
        got = fetched(tmp_path / "cache", web)
        trees.append(Path(got.apps[0].checkout))  # type: ignore[attr-defined]
    assert len([*(mirror / "objects" / "pack").glob("*.pack")]) <= 3
    for tree in trees:  # of branches that the server has forgotten
        shutil.copytree(tree, tmp_path / "again" / tree.name)
        git(tmp_path / "again" / tree.name, "checkout", "-q", "--force", tree.name)
        assert git(tmp_path / "again" / tree.name, "cat-file", "-p", "HEAD:file")


def test_nothing_of_a_mirror_is_fetched_by_the_way(tmp_path: Path, web: App, https: Https) -> None:
    fetched(tmp_path / "cache", web)
    https.requests.clear()
    mirror = Mirror(web.git_url, tmp_path / "cache")
    head = mirror.branches()["main"]
    old = git(mirror.path, "rev-parse", f"{head}~3:file")
    assert mirror.trees([f"{head}~3:file", old, "0" * 40]) == [None, None, None]
    assert mirror.last_change(head, "more/1") == head
    show = ["git", "-C", str(mirror.path), "cat-file", "blob", old]
    assert subprocess.run(show, capture_output=True, check=False).returncode != 0
    assert https.requests == []


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that has something on its branch main."""
    folder = tmp_path / "repository"
    commit(folder, {"plain.yml": "plain", "deep/er/plain.yml": "deep", "bytes.yml": "\u20ac"})
    return folder


@pytest.fixture
def mirror(repository: Path, tmp_path: Path) -> Mirror:
    """Its mirror, into which nothing was fetched yet."""
    return Mirror(str(repository), tmp_path / "cache")


def read(mirror: Mirror, head: str, *paths: str) -> list[bytes | str | None]:
    """What each file of a commit has, or why it is refused."""
    mirror.fetch(["main"])
    found = mirror.files([(head, path) for path in paths], LARGEST)
    return [str(each) if isinstance(each, Refused) else each for each in found]


def test_files_are_read_as_they_are_in_the_commit(repository: Path, mirror: Mirror) -> None:
    head = commit(repository, {"large.yml": "x" * LARGEST, "larger.yml": "x" * (LARGEST + 1)})
    assert read(mirror, head, "plain.yml", "deep/er/plain.yml", "bytes.yml", "large.yml") == [
        b"plain",
        b"deep",
        "\u20ac".encode(),
        b"x" * LARGEST,
    ]
    assert read(mirror, head, "larger.yml", "deep") == [
        "it is longer than 1 KiB",
        "it is no file",
    ]
    assert read(mirror, head, "none.yml", "none/plain.yml", "plain.yml/none", "plain.yml") == [
        None,
        None,
        None,
        b"plain",
    ]


def test_links_are_followed_within_the_commit_alone(repository: Path, mirror: Mirror) -> None:
    forged = f"x\n{git(repository, 'rev-parse', 'HEAD:plain.yml')} blob 5"
    for name, target in {
        "within": "deep/er/plain.yml",
        "folder": "deep/er",
        "out": "../other",
        "device": "/dev/zero",
        "passwd": "/etc/passwd",
        "forged": f"/{forged}",
        "dangling": forged,
        "loop": "loop",
    }.items():
        (repository / name).symlink_to(target)
    head = commit(repository, {})
    out = "it is a link that leads out of the repository"
    assert read(mirror, head, "within", "folder/plain.yml", "out", "device", "passwd") == [
        b"deep",
        b"deep",
        out,
        out,
        out,
    ]
    # What a link leads to may look like an answer: those that follow are still the right ones.
    assert read(mirror, head, "forged", "dangling", "plain.yml", "loop", "within") == [
        out,
        "it is a link to what is not there",
        b"plain",
        "it is a link to itself",
        b"deep",
    ]


def test_each_commit_has_its_own(repository: Path, mirror: Mirror) -> None:
    before = git(repository, "rev-parse", "HEAD")
    now = commit(repository, {"plain.yml": "changed"})
    assert read(mirror, before, "plain.yml") == [b"plain"]
    assert mirror.files([(now, "plain.yml"), (before, "plain.yml")], LARGEST) == [
        b"changed",
        b"plain",
    ]


def test_before_anything_was_fetched_there_is_nothing(repository: Path, mirror: Mirror) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert mirror.files([(head, "plain.yml")], LARGEST) == [None]


def test_a_folder_in_a_submodule_is_known_as_such(
    repository: Path, mirror: Mirror, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    commit(other, {"service/plain.yml": "other"})
    allowed = ("-c", "protocol.file.allow=always")
    git(repository, *allowed, "submodule", "--quiet", "add", str(other), "vendor/other")
    head = commit(repository, {})
    assert read(mirror, head, "vendor/other/service/plain.yml") == [None]
    assert mirror.submodule(head, "vendor/other/service") == "vendor/other"
    assert mirror.submodule(head, "vendor/other") == "vendor/other"
    assert mirror.submodule(head, "vendor") == mirror.submodule(head, "deep/er") == ""

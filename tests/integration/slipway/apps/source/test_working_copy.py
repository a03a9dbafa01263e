"""What is not committed becomes a commit that only the mirror has."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.apps.source.git import Mirror, branches
from slipway.apps.source.working_copy import git_folder, heads_of
from slipway.errors import SlipwayError
from tests.support.git_samples import commit, git, give_away


def mirrored(repository: Path, *branches: str) -> Mirror:
    """The mirror as a run has left it."""
    mirror = Mirror(str(repository), repository.parent / "cache")
    mirror.fetch(branches or ["main"])
    return mirror


def laid_out(mirror: Mirror, commit: str) -> dict[str, str]:
    """The files that a build of the commit gets."""
    place = mirror.lay_out(commit)
    files = [path for path in place.rglob("*") if path.is_file()]
    names = {str(path.relative_to(place)): path for path in files}
    return {name: path.read_text() for name, path in names.items() if not name.startswith(".git/")}


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a folder, git's own included."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    commit(folder, {"a": "a", "sub/b": "b", "sub/c": "c", ".gitignore": "built\n"})
    return folder


def test_a_clean_clone_is_at_its_head(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD")
    assert heads_of(mirrored(clone)) == {"main": head}


def test_files_that_differ_are_a_commit_on_the_head(clone: Path) -> None:
    mirror = mirrored(clone)
    head = git(clone, "rev-parse", "HEAD")
    (clone / "a").write_text("changed")
    (clone / "sub" / "b").unlink()
    (clone / "new").mkdir()
    (clone / "new" / "d e").write_text("new")

    as_it_is = heads_of(mirror)["main"]

    assert git(mirror.path, "rev-list", "--parents", "-1", as_it_is) == f"{as_it_is} {head}"
    files = {"a": "changed", "sub/c": "c", "new/d e": "new", ".gitignore": "built\n"}
    assert laid_out(mirror, as_it_is) == files


def test_modes_and_links_count(clone: Path) -> None:
    mirror = mirrored(clone)
    (clone / "a").chmod(0o755)
    (clone / "link").symlink_to("sub/b")
    listed = git(mirror.path, "ls-tree", heads_of(mirror)["main"]).splitlines()
    modes = {line.split("\t")[1]: line.split()[0] for line in listed}
    assert (modes["a"], modes["link"]) == ("100755", "120000")


def test_what_git_ignores_does_not_count(clone: Path) -> None:
    mirror = mirrored(clone)
    (clone / ".git" / "info" / "exclude").write_text("*.tmp\n")
    (clone / "built").write_text("x")
    (clone / "sub" / "x.tmp").write_text("x")
    (clone / "a").touch()
    assert heads_of(mirror) == {"main": git(clone, "rev-parse", "HEAD")}


def test_what_is_committed_counts_although_git_ignores_it(clone: Path) -> None:
    commit(clone, {"kept": "kept"})
    head = commit(clone, {".gitignore": "built\nkept\n"})
    mirror = mirrored(clone)
    assert heads_of(mirror) == {"main": head}
    (clone / "kept").write_text("changed")
    assert laid_out(mirror, heads_of(mirror)["main"])["kept"] == "changed"


def test_what_git_comes_to_ignore_no_longer_counts(clone: Path) -> None:
    mirror = mirrored(clone)
    (clone / "new").write_text("new")
    head = git(clone, "rev-parse", "HEAD")
    assert heads_of(mirror)["main"] != head
    (clone / ".git" / "info" / "exclude").write_text("new\n")
    assert heads_of(mirror)["main"] == head


def test_a_clone_of_another_user_counts_as_it_is_and_nothing_that_it_configures_runs(
    clone: Path, tmp_path: Path
) -> None:
    program, ran = tmp_path / "program", tmp_path / "ran"
    program.write_text(f"#!/bin/sh\necho $0 >> {ran}\nexec cat\n")
    program.chmod(0o755)
    commit(clone, {".gitattributes": "* filter=own\n"})
    for hook in ("post-index-change", "reference-transaction", "pre-auto-gc"):
        (clone / ".git" / "hooks" / hook).symlink_to(program)
    for key in ("filter.own.clean", "core.fsmonitor", "uploadpack.packObjectsHook", "core.pager"):
        git(clone, "config", key, str(program))
    (clone / ".git" / "info" / "exclude").write_text("*.tmp\n")
    give_away(clone)
    mirror = mirrored(clone)

    assert heads_of(mirror) == branches(str(clone))
    for name, text in {"a": "changed", "new": "new", "built": "x", "x.tmp": "x"}.items():
        (clone / name).write_text(text)
    (clone / "sub" / "b").unlink()
    files = laid_out(mirror, heads_of(mirror)["main"])

    ignored = {name: files.pop(name) for name in (".gitignore", ".gitattributes")}
    assert files == {"a": "changed", "new": "new", "sub/c": "c"}
    assert ignored[".gitignore"] == "built\n"
    assert git_folder(clone) == clone / ".git"
    assert not ran.exists()


def test_of_another_user_only_the_repository_itself_is_trusted(clone: Path) -> None:
    assert git_folder(clone / "sub") == clone / ".git"
    give_away(clone)
    assert git_folder(clone / "sub") is None


def test_a_clone_may_go_to_another_branch(clone: Path) -> None:
    main = git(clone, "rev-parse", "main")
    feature = commit(clone, {"a": "feature", "more": "more"}, "feature/x")
    mirror = mirrored(clone, "main", "feature/x")
    for branch in ("main", "feature/x", "main"):
        git(clone, "checkout", "-q", branch)
        assert heads_of(mirror) == {"main": main, "feature/x": feature}


def test_the_same_files_are_the_same_commit(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = mirrored(clone)
    found = []
    for day, text in enumerate(("x", "y", "x", "a"), 1):
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_NAME", f"User {day}")
            monkeypatch.setenv(f"GIT_{role}_DATE", f"2025-01-0{day}T00:00:00Z")
        (clone / "a").write_text(text)
        found.append(heads_of(mirror)["main"])
    assert len(set(found)) == 3
    assert found[0] == found[2]
    assert found[3] == git(clone, "rev-parse", "HEAD")


def test_the_clone_stays_as_it_is(clone: Path) -> None:
    mirror = mirrored(clone)
    (clone / "a").write_text("changed")
    (clone / "new").write_text("new")
    (clone / "sub" / "b").unlink()
    (clone / "staged").write_text("staged")
    git(clone, "add", "staged")
    shown = ("status", "--porcelain"), ("count-objects", "-v"), ("for-each-ref",)
    said = [git(clone, *command) for command in shown]
    before = everything(clone)

    assert heads_of(mirror)["main"] != git(clone, "rev-parse", "HEAD")

    assert everything(clone) == before
    assert [git(clone, *command) for command in shown] == said


def test_another_branch_is_at_its_commit(clone: Path) -> None:
    main = git(clone, "rev-parse", "main")
    feature = commit(clone, {"a": "feature"}, "feature/x")
    mirror = mirrored(clone, "main", "feature/x")
    (clone / "a").write_text("changed")

    heads = heads_of(mirror)

    assert heads.keys() == {"main", "feature/x"}
    assert heads["main"] == main
    assert git(mirror.path, "rev-parse", f"{heads['feature/x']}^") == feature


def test_without_a_branch_what_is_not_committed_is_nobodys(clone: Path) -> None:
    mirror = mirrored(clone)
    git(clone, "checkout", "-q", "--detach")
    (clone / "a").write_text("changed")
    assert heads_of(mirror) == {"main": git(clone, "rev-parse", "main")}


def test_a_bare_repository_has_only_commits(clone: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(clone), "bare.git")
    head = git(clone, "rev-parse", "HEAD")
    assert heads_of(mirrored(tmp_path / "bare.git")) == {"main": head}


def test_before_there_is_a_mirror_only_commits_count(clone: Path, tmp_path: Path) -> None:
    (clone / "a").write_text("changed")
    mirror = Mirror(str(clone), tmp_path / "cache")
    assert heads_of(mirror) == {"main": git(clone, "rev-parse", "HEAD")}
    assert not (tmp_path / "cache").exists()


def test_a_head_that_the_mirror_lacks_is_fetched(clone: Path) -> None:
    mirror = mirrored(clone)
    head = commit(clone, {"later": "later"})
    (clone / "a").write_text("changed")

    as_it_is = heads_of(mirror)["main"]

    assert mirror.branches() == {"main": head}
    files = {"a": "changed", "sub/b": "b", "sub/c": "c", "later": "later", ".gitignore": "built\n"}
    assert laid_out(mirror, as_it_is) == files


def test_a_linked_worktree_is_a_clone_of_its_own(clone: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(clone, "worktree", "add", "-q", "-b", "feature/x", str(linked))
    mirror = mirrored(linked, "feature/x")
    (clone / "a").write_text("of main")
    (linked / "a").write_text("of the feature")
    head = git(clone, "rev-parse", "main")
    before = everything(clone)

    heads = heads_of(mirror)

    assert heads["main"] == head
    assert git(mirror.path, "rev-parse", f"{heads['feature/x']}^") == head
    assert laid_out(mirror, heads["feature/x"])["a"] == "of the feature"
    assert everything(clone) == before


@pytest.mark.parametrize("folder", ["empty", "nowhere", "clone/sub"])
def test_what_is_no_repository_cannot_be_read(clone: Path, tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SlipwayError, match="does not appear to be a git repository"):
        heads_of(Mirror(str(tmp_path / folder), tmp_path / "cache"))


def test_a_clone_without_commits_has_no_branches(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "-q", "-b", "main")
    (tmp_path / "new" / "a").write_text("a")
    assert heads_of(Mirror(str(tmp_path / "new"), tmp_path / "cache")) == {}


def test_where_branches_are_files(clone: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(clone), "bare.git")
    git(clone, "worktree", "add", "-q", "-b", "feature/x", str(tmp_path / "linked"))
    assert git_folder(clone) == clone / ".git"
    assert git_folder(tmp_path / "bare.git") == tmp_path / "bare.git"
    assert git_folder(tmp_path / "linked") == clone / ".git"
    (tmp_path / "link").symlink_to(clone)
    assert git_folder(tmp_path / "link") == clone / ".git"
    assert git_folder(tmp_path) is None
    assert git_folder(tmp_path / "nowhere") is None


def stage(clone: Path) -> None:
    (clone / "new").write_text("new")
    git(clone, "add", "new")


def pop_stash(clone: Path) -> None:
    (clone / "a").write_text("changed")
    git(clone, "stash", "-q")
    git(clone, "stash", "pop", "-q")


def take_back_commit(clone: Path) -> None:
    commit(clone, {"a": "changed"})
    git(clone, "reset", "-q", "--soft", "HEAD~")


def conflict(clone: Path) -> None:
    commit(clone, {"a": "theirs"}, "feature/x")
    commit(clone, {"a": "ours"})
    with pytest.raises(subprocess.CalledProcessError):
        git(clone, "merge", "feature/x")
    assert "<<<<<<<" in (clone / "a").read_text()


@pytest.mark.parametrize("do", [stage, pop_stash, take_back_commit, conflict])
def test_files_that_the_clone_has_as_objects_are_laid_out_too(
    clone: Path, do: Callable[[Path], None]
) -> None:
    mirror = mirrored(clone)
    do(clone)
    files = {"a", "sub/b", "sub/c", "new", ".gitignore"}
    here = {name: (clone / name).read_text() for name in files if (clone / name).exists()}
    assert laid_out(mirror, heads_of(mirror)["main"]) == here

"""The samples become repositories, the same ones everywhere, and only when they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.source.examples import make_repositories, make_repository
from tests.support.git_samples import git

ROOT = Path(__file__).parents[5]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    folder = tmp_path / "examples" / "web"
    for name, text in {
        "main/a": "main a\n",
        "main/sub/b": "main b\n",
        "main/.gitignore": "built\n",
        "main/built": "rubbish\n",
        "feature/x/a": "feature a\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def content(repository: Path, ref: str) -> dict[str, str]:
    names = git(repository, "ls-tree", "-r", "--name-only", ref).splitlines()
    return {name: git(repository, "show", f"{ref}:{name}") for name in names}


def test_branches_have_their_files(example: Path, tmp_path: Path) -> None:
    made = make_repository(example, tmp_path / "repositories", check=False)
    assert made.path == tmp_path / "repositories" / "web.git"
    assert sorted(made.after) == ["feature/x", "main"]
    main = {"a": "main a", "sub/b": "main b", ".gitignore": "built"}
    assert content(made.path, "main") == main
    assert content(made.path, "feature/x") == {**main, "a": "feature a"}
    assert git(made.path, "rev-parse", "feature/x^") == made.after["main"]
    assert git(made.path, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_same_files_same_commits(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = make_repository(example, tmp_path / "here", check=False)
    (tmp_path / "excluded").write_text("a\n")
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[user]\nname = Other\nemail = o@x\n[core]\nexcludesFile = {tmp_path}/excluded\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    there = make_repository(example, tmp_path / "there", check=False)
    assert here.after == there.after


def test_nothing_new_no_commit(example: Path, tmp_path: Path) -> None:
    first = make_repository(example, tmp_path / "r", check=False)
    again = make_repository(example, tmp_path / "r", check=False)
    assert (first.changed, again.changed) == (True, False)
    assert again.after == first.after


def test_changed_file_moves_its_branch_only(example: Path, tmp_path: Path) -> None:
    first = make_repository(example, tmp_path / "r", check=False)
    (example / "feature" / "x" / "a").write_text("new\n")
    made = make_repository(example, tmp_path / "r", check=False)
    assert made.after["main"] == first.after["main"]
    assert git(made.path, "rev-parse", "feature/x^") == first.after["feature/x"]
    assert content(made.path, "feature/x")["a"] == "new"


def test_new_and_removed_branches(example: Path, tmp_path: Path) -> None:
    make_repository(example, tmp_path / "r", check=False)
    (example / "feature" / "x").rename(example / "feature" / "y")
    made = make_repository(example, tmp_path / "r", check=False)
    assert git(made.path, "branch", "--format=%(refname:short)").splitlines() == [
        "feature/y",
        "main",
    ]


def test_check_says_the_same_and_leaves_everything(example: Path, tmp_path: Path) -> None:
    checked = make_repository(example, tmp_path / "r", check=True)
    assert not (tmp_path / "r").exists()
    made = make_repository(example, tmp_path / "r", check=False)
    assert checked == made

    (example / "main" / "a").write_text("new\n")
    checked = make_repository(example, tmp_path / "r", check=True)
    assert git(made.path, "rev-parse", "main") == made.after["main"]
    assert checked == make_repository(example, tmp_path / "r", check=False)


def test_the_projects_own_samples(tmp_path: Path) -> None:
    made = make_repositories(ROOT / "examples", tmp_path, check=False)
    assert [(each.path.name, sorted(each.after)) for each in made] == [
        ("chatbot.git", ["main"]),
        ("greeter.git", ["feature/loud", "main"]),
        ("guestbook.git", ["feature/stars", "main"]),
        ("lessons.git", ["main"]),
        ("quotes.git", ["feature/proverbs", "main"]),
    ]
    features = [(each.path, name) for each in made for name in each.after if name != "main"]
    for path, feature in features:
        changed = git(path, "diff", "--name-only", "main", feature).splitlines()
        assert changed, "a branch that is no different shows nothing"

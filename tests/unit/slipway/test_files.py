"""Files: which of those that others wrote are read, and how one takes the place of another."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from slipway import files
from slipway.files import Refused, inside, refused_below, replacing, settle, write_whole


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a file and a folder; a secret is beside it."""
    root = tmp_path / "repository"
    (root / "folder").mkdir(parents=True)
    (root / "file").write_text("text")
    (root / "folder" / "deep").write_text("deep")
    (tmp_path / "secret").write_text("secret")
    return root


def link(path: Path, target: str | Path) -> None:
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("name", "target", "found"),
    [
        ("link", "file", "file"),
        ("link", "folder", "folder"),
        ("folder/link", "../file", "file"),
        ("link/deep", "folder", "folder/deep"),
        ("link", "../repository/file", "file"),
    ],
)
def test_a_link_to_the_inside_is_followed(
    repository: Path, name: str, target: str, found: str
) -> None:
    place = name.removesuffix("/deep")
    link(repository / place, target)
    assert inside(repository, name) == repository / found


def test_a_repository_that_is_reached_by_a_link_has_its_files(
    repository: Path, tmp_path: Path
) -> None:
    link(tmp_path / "name", repository)
    assert inside(tmp_path / "name", "file") == repository / "file"


@pytest.mark.parametrize(
    ("links", "name"),
    [
        ({"a": "../secret"}, "a"),
        ({"a": "/etc/passwd"}, "a"),
        ({"a": ".."}, "a/secret"),
        ({"a": "b", "b": "folder/c", "folder/c": "../../secret"}, "a"),
        ({"a": "../not-there"}, "a"),
        ({"a": "/dev/zero"}, "a"),
        ({}, "../secret"),
        ({}, "/etc/passwd"),
        ({"a": "../repository-2"}, "a"),
    ],
)
def test_what_leads_out_is_refused(repository: Path, links: dict[str, str], name: str) -> None:
    (repository.parent / "repository-2").mkdir()
    for place, target in links.items():
        link(repository / place, target)
    with pytest.raises(Refused, match=r"^it leads out of the repository$"):
        inside(repository, name)


def test_what_is_no_file_is_refused(repository: Path) -> None:
    os.mkfifo(repository / "pipe")
    link(repository / "link", "pipe")
    link(repository / "round", "round")
    link(repository / "nothing", "not-there")
    reasons = {}
    for name in ("pipe", "link", "round", "nothing", "nul\0"):
        with pytest.raises(Refused) as refused:
            inside(repository, name)
        reasons[name] = str(refused.value)
    assert reasons == {
        "pipe": "it is neither a file nor a folder",
        "link": "it is neither a file nor a folder",
        "round": "Too many levels of symbolic links",
        "nothing": "No such file or directory",
        "nul\0": reasons["nul\0"],
    }
    assert "embedded null" in reasons["nul\0"]  # each Python has words of its own for it


def test_all_that_is_refused_below_a_folder_is_named(repository: Path) -> None:
    link(repository / "good", "folder")
    link(repository / "folder" / "out", "../../secret")
    link(repository / "folder" / "home", "/")
    assert dict(refused_below(repository, "the chart")) == dict.fromkeys(
        ("folder/out", "folder/home", "good/out", "good/home"), "it leads out of the chart"
    )


def test_a_folder_without_links_out_has_nothing_refused(repository: Path) -> None:
    link(repository / "good", "folder/deep")
    assert list(refused_below(repository, "the chart")) == []


def test_links_that_multiply_are_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 50)
    for level in range(4):
        folder = repository / f"level{level}"
        folder.mkdir()
        for number in range(4):
            link(folder / str(number), f"../level{level + 1}")
    (repository / "level4").mkdir()
    many = "it has more than 50 files behind links"
    assert list(refused_below(repository, "the chart")) == [(".", many)]


def test_a_large_folder_is_read_all_the_same(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 50)
    for number in range(60):
        (repository / "folder" / str(number)).touch()
    link(repository / "link", "file")
    assert list(refused_below(repository, "the chart")) == []


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "state", []
    path.write_text("old")
    monkeypatch.setattr("os.fsync", lambda file: flushed.append((path.read_text(), file)))
    write_whole(path, "new", 0o600)
    assert [before for before, _ in flushed] == ["old"]
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as new:
        new.write(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_gets_its_name_when_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, final = tmp_path / "new", tmp_path / "final"
    new.mkdir()
    (new / "file").write_text("x")
    flushed: list[bool] = []
    own = files._LIBC.syncfs

    def syncfs(descriptor: int) -> int:
        assert os.fstat(descriptor).st_ino == new.stat().st_ino
        flushed.append(final.exists())
        return int(own(descriptor))

    monkeypatch.setattr(files, "_LIBC", SimpleNamespace(syncfs=syncfs))
    settle(new, final)
    assert flushed == [False]
    assert (final / "file").read_text() == "x"


def test_a_folder_that_is_not_on_the_disk_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").mkdir()
    monkeypatch.setattr(files, "_LIBC", SimpleNamespace(syncfs=lambda _descriptor: -1))
    with pytest.raises(OSError, match="cannot be written to the disk"):
        settle(tmp_path / "new", tmp_path / "final")
    assert not (tmp_path / "final").exists()


def test_folders_are_named_that_way_alone() -> None:
    """Whoever renames a folder of its own into place would name one that may be empty later."""
    library = Path(files.__file__).parent
    renaming = {
        path.relative_to(library).as_posix()
        for path in library.rglob("*.py")
        if ".rename(" in path.read_text()
    }
    # The compiler's names binaries below a folder that has no name yet; on nodes these name files.
    on_nodes = {f"on_node/{name}.py" for name in ("certificates", "node_config", "shared")}
    # In a pod, what is renamed away stays until all is on the disk.
    in_pods = {"apps/volumes/in_pod.py"}
    assert renaming == {"files.py", "bundle/go.py", *on_nodes, *in_pods}

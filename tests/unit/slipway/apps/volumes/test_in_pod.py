"""Volumes that are written as a stream and loaded from one, and what no stream may have."""

from __future__ import annotations

import errno
import hashlib
import inspect
import io
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.volumes import in_pod
from slipway.apps.volumes.in_pod import ASIDE, Checked, Refused, load, members, save, tidy


def saved(folder: Path) -> bytes:
    """A volume as a stream."""
    stream = io.BytesIO()
    save(folder, stream)
    return stream.getvalue()


def filled(folder: Path) -> Path:
    """A volume with all that one may have."""
    (folder / "deep/empty").mkdir(parents=True)
    (folder / "deep/file").write_bytes(os.urandom(3000))
    (folder / "deep/file").chmod(0o640)
    os.link(folder / "deep/file", folder / "deep/same")
    (folder / "deep/link").symlink_to("../none")
    (folder / "closed").mkdir(0o500)
    (folder / b"\xff".decode(errors="surrogateescape")).write_text("no name of UTF-8")
    os.utime(folder / "deep", (0, 1_000_000_000))
    return folder


def described(folder: Path) -> dict[str, tuple[object, ...]]:
    """What is in a volume, with modes, times and contents."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        content: object = path.readlink() if path.is_symlink() else None
        if path.is_file() and not path.is_symlink():
            content = (path.read_bytes(), state.st_nlink)
        time = 0 if path.is_symlink() else int(state.st_mtime)
        found[str(path.relative_to(folder))] = (state.st_mode, time, content)
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return filled(tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    (folder / "old").mkdir(parents=True)
    (folder / "old/file").write_text("old")
    return folder


def test_what_is_loaded_is_what_was_saved_and_nothing_of_before(source: Path, target: Path) -> None:
    assert load(target, io.BytesIO(saved(source)), 0) == len(described(source))
    assert described(target) == described(source)


def test_a_tree_may_be_deeper_than_python_may_call(source: Path) -> None:
    (source / "/".join("d" * 300)).mkdir(parents=True)
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        stream = saved(source)
    finally:
        sys.setrecursionlimit(usual)
    found = [member.name for member, _ in members(Checked(io.BytesIO(stream)))]
    assert max(name.count("/") for name in found) == 300


def test_only_files_of_several_names_are_remembered(source: Path) -> None:
    first: dict[tuple[int, int], str] = {}
    names = {}
    for path in (source / "deep/file", source / "deep/same", next(source.glob("\udcff"))):
        info = in_pod._described(path, f"data/{path.name}", first)
        names[path.name] = info.linkname if info else None
    assert [*first.values()] == ["data/file"]
    assert names["same"] == "data/file"


def test_anybody_s_tar_lists_it(source: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(saved(source))) as tar:
        assert len(tar.getnames()) == len(described(source))


def test_what_no_volume_may_be_loaded_with_is_left_out_and_named(source: Path) -> None:
    os.mkfifo(source / "pipe")
    (source / "out").symlink_to("/etc/passwd")
    (source / "up").symlink_to("../other")
    (source / "deep/top").symlink_to("..")
    (source / "chained").symlink_to("deep/top/..")
    (source / "lost+found").mkdir()
    stream = io.BytesIO()
    left_out = save(source, stream)
    out = ["data/chained", "data/lost+found", "data/out", "data/pipe", "data/up"]
    assert left_out == out
    stream.seek(0)
    (source.parent / "new").mkdir()
    load(source.parent / "new", stream, 0)


def test_a_stream_that_takes_a_part_at_a_time_gets_all(source: Path, target: Path) -> None:
    class Slow(io.BytesIO):
        """As a pipe without a buffer may be."""

        def write(self, content: object) -> int:
            return super().write(memoryview(content)[:100])  # type: ignore[arg-type]

    slow = Slow()
    save(source, slow)
    load(target, io.BytesIO(slow.getvalue()), 0)
    assert described(target) == described(source)


def test_a_file_that_gets_shorter_meanwhile_is_filled_up(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = in_pod._copy

    def shortened(file: object, size: int, stream: object) -> None:
        os.truncate(source / "deep/file", 10)
        copy(file, size, stream)  # type: ignore[arg-type]

    monkeypatch.setattr(in_pod, "_copy", shortened)
    content = (source / "deep/file").read_bytes()
    load(target, io.BytesIO(saved(source)), 0)
    assert (target / "deep/file").read_bytes() == content[:10] + bytes(len(content) - 10)


def altered(stream: bytes, change: Callable[[bytearray], object]) -> bytes:
    content = bytearray(stream)
    change(content)
    return bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop(),
        lambda content: content.clear(),
        lambda content: content.__delitem__(slice(2000, None)),
        lambda content: content.__setitem__(-1, content[-1] ^ 1),
        lambda content: content.__setitem__(1600, content[1600] ^ 1),
        lambda content: content.extend(b"more"),
    ],
)
def test_a_stream_that_is_not_whole_leaves_the_volume_as_it_was(
    change: Callable[[bytearray], object], source: Path, target: Path
) -> None:
    before = described(target)
    with pytest.raises(Refused):
        load(target, io.BytesIO(altered(saved(source), change)), 0)
    assert described(target) == before


def made(*members: tarfile.TarInfo) -> bytes:
    """A stream with these members and the right sum."""
    content = b"".join(
        each.tobuf(tarfile.PAX_FORMAT) + bytes(each.size + -each.size % 512) for each in members
    )
    content += bytes(1024)
    return content + hashlib.sha256(content).hexdigest().encode()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


A_FOLDER = member("data/a", tarfile.DIRTYPE)
A_FILE = member("data/f")


@pytest.mark.parametrize(
    ("had", "why"),
    [
        ([member("/data/f")], "is not below data/"),
        ([member("f")], "is not below data/"),
        ([member("data")], "is not below data/"),
        ([member("data/../f")], "is not below data/"),
        ([member("data/./f")], "is not below data/"),
        ([member("data//f")], "is not below data/"),
        ([member(f"data/{ASIDE}", tarfile.DIRTYPE)], "has a name that no app's data has"),
        ([A_FILE, A_FILE], "is there twice"),
        ([member("data/a/f")], "is in no folder of the archive"),
        ([A_FILE, member("data/f/f")], "is in no folder of the archive"),
        (
            [member("data/a", tarfile.SYMTYPE, "f"), member("data/a/f")],
            "is in no folder of the archive",
        ),
        ([member("data/l", tarfile.SYMTYPE, "/etc")], "leads out of the volume, to '/etc'"),
        ([member("data/l", tarfile.SYMTYPE, "../x")], "leads out of the volume"),
        ([member("data/l", tarfile.SYMTYPE, "a/../../x")], "leads out of the volume"),
        ([member("data/l", tarfile.SYMTYPE, "../data/x")], "leads out of the volume"),
        (
            [
                A_FOLDER,
                member("data/a/up", tarfile.SYMTYPE, ".."),
                member("data/l", tarfile.SYMTYPE, "a/up/.."),
            ],
            "'data/l' is a link that leads out of the volume by others",
        ),
        (
            [
                A_FOLDER,
                member("data/l", tarfile.SYMTYPE, "m/x"),
                member("data/m", tarfile.SYMTYPE, "a/up/../.."),
                member("data/a/up", tarfile.SYMTYPE, "../a"),
            ],
            "'data/l' is a link that leads out of the volume by others",
        ),
        ([member("data/l", tarfile.LNKTYPE, "/etc/passwd")], "another name of no file"),
        ([A_FOLDER, member("data/l", tarfile.LNKTYPE, "data/a")], "another name of no file"),
        ([member("data/d", tarfile.BLKTYPE)], "is neither a file, a folder nor a link"),
        ([member("data/d", tarfile.CHRTYPE)], "is neither a file, a folder nor a link"),
        ([member("data/d", tarfile.FIFOTYPE)], "is neither a file, a folder nor a link"),
        ([member("data/d", tarfile.CONTTYPE)], "is neither a file, a folder nor a link"),
    ],
)
def test_what_a_stream_may_not_have(had: list[tarfile.TarInfo], why: str, target: Path) -> None:
    before = described(target)
    with pytest.raises(Refused, match=why):
        load(target, io.BytesIO(made(*had)), 0)
    assert described(target) == before


def described_as(name: str, value: str) -> bytes:
    """A stream with a member of which a header before it says something of its own."""
    info = member("data/f")
    info.pax_headers = {name: value}
    return made(info)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (described_as("path", "data/a\0b"), r"'data/a\\x00b' has a name or a target"),
        (made(member("data/l", tarfile.SYMTYPE)), "has a name or a target that no system takes"),
        (made(member("data/l", tarfile.SYMTYPE, "a/" * 2048)), "a target that no system takes"),
        (described_as("mtime", "nan"), "has an owner or a time that no system takes"),
        (described_as("mtime", "inf"), "has an owner or a time that no system takes"),
        (described_as("mtime", "1e30"), "has an owner or a time that no system takes"),
        (described_as("uid", "4294967295"), "has an owner or a time that no system takes"),
        (described_as("gid", "-1"), "has an owner or a time that no system takes"),
        (described_as("size", "1" + 19 * "0"), "it ends in the middle of a member"),
        (described_as("comment", "a" * (1 << 16)), "a name in it would have 655.. bytes"),
    ],
)
def test_a_header_that_nobody_can_heed_is_refused_before_anything_is_used(
    stream: bytes, why: str, target: Path
) -> None:
    before = described(target)
    with pytest.raises(Refused, match=why):
        for _ in members(Checked(io.BytesIO(stream))):
            pass
    with pytest.raises(Refused, match=why):
        load(target, io.BytesIO(stream), 0)
    assert described(target) == before


def sparse_by_its_type() -> bytes:
    """A stream with a file of GNU's older format, the map of which goes on and on."""
    info = member("data/f", tarfile.GNUTYPE_SPARSE)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1  # isextended
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:]))
    more = bytearray(512)
    more[504] = 1  # and so is this one
    return bytes(header) + bytes(more) * 3


def sparse_by_its_headers() -> bytes:
    """A stream with a file of GNU's format 1.0, the map of which goes on and on."""
    info = member("data/f")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    return info.tobuf(tarfile.PAX_FORMAT) + b"1000000000\n".ljust(512, b"1") * 3


@pytest.mark.parametrize("made_sparse", [sparse_by_its_type, sparse_by_its_headers])
def test_a_map_of_a_sparse_file_is_refused_before_it_is_read(
    made_sparse: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread(*_: object) -> None:
        raise AssertionError("the map is read")

    for name in ("_proc_sparse", "_proc_gnusparse_10"):
        assert hasattr(tarfile.TarInfo, name), "tarfile has another name for what reads the map"
        monkeypatch.setattr(tarfile.TarInfo, name, unread)
    with pytest.raises(Refused, match="a file in it is sparse"):
        next(members(Checked(io.BytesIO(made_sparse() + bytes(4096)))))


def test_of_many_members_the_memory_holds_little_more_than_the_names() -> None:
    stream = made(*(member(f"data/{number}") for number in range(3)))
    tar: Any
    for _, tar in members(Checked(io.BytesIO(stream))):
        assert not tar.members


def test_links_within_the_volume_may_be_there(target: Path) -> None:
    targets = {
        "a/up": "../f",
        "top": ".",
        "by-another": "top/a/./up",
        "itself": "itself",
        "nowhere": "none/there",
    }
    links = [member(f"data/{name}", tarfile.SYMTYPE, link) for name, link in targets.items()]
    assert load(target, io.BytesIO(made(A_FOLDER, A_FILE, *links)), 0) == 2 + len(links)
    assert load(target, io.BytesIO(saved(target)), 0) == 2 + len(links)


def test_bits_that_give_the_rights_of_others_are_not_loaded(target: Path) -> None:
    program = member("data/f")
    program.mode = 0o6755
    load(target, io.BytesIO(made(program)), 0)
    assert (target / "f").stat().st_mode & 0o7777 == 0o755


def test_without_room_nothing_is_read(target: Path) -> None:
    stream = io.BytesIO(b"something")
    with pytest.raises(Refused, match="there is room for"):
        load(target, stream, 1 << 60)
    assert stream.tell() == 0


def test_a_folder_that_the_node_made_for_another_mount_is_no_hindrance(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is root's, whom the program is not: Linux moves no folder that one may not write to."""
    (target / "mount").mkdir(0o755)
    owner, rename = target.stat().st_uid, Path.rename

    def refused(path: Path, new: Path) -> Path:
        if path == target / "mount":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return rename(path, new)

    monkeypatch.setattr(Path, "rename", refused)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    load(target, io.BytesIO(made(A_FILE)), 0)
    assert described(target).keys() == {"f"}


@pytest.fixture
def deep(target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the node made for a file that is mounted in it: only root may write to it."""
    (target / "conf/tls").mkdir(parents=True)
    (target / "conf/file").touch()
    access, owner = os.access, target.stat().st_uid
    fixed = [target / "conf", target / "old/conf"]
    monkeypatch.setattr(os, "access", lambda at, mode: at not in fixed and access(at, mode))
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    rename = Path.rename

    def refused(path: Path, new: Path) -> Path:
        if path in fixed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return rename(path, new)

    monkeypatch.setattr(Path, "rename", refused)
    return target / "conf"


def test_a_folder_with_a_mount_deep_in_it_stays_where_it_is(deep: Path) -> None:
    mounts = [member("data/conf", tarfile.DIRTYPE), member("data/conf/tls", tarfile.DIRTYPE)]
    load(deep.parent, io.BytesIO(made(A_FILE, *mounts)), 0)
    assert described(deep.parent).keys() == {"conf", "conf/file", "conf/tls", "f"}


@pytest.mark.parametrize(
    "had",
    [
        [member("data/conf", tarfile.DIRTYPE), member("data/conf/other")],
        [member("data/conf", tarfile.SYMTYPE, "f")],
        [member("data/conf")],
        [member("data/conf", tarfile.DIRTYPE), member("data/conf/file", tarfile.SYMTYPE, "a")],
    ],
)
def test_what_is_to_be_in_such_a_folder_is_refused(had: list[tarfile.TarInfo], deep: Path) -> None:
    before = described(deep.parent)
    with pytest.raises(Refused, match="'data/conf' is a folder that the node made"):
        load(deep.parent, io.BytesIO(made(A_FILE, *had)), 0)
    assert described(deep.parent) == before


def test_such_a_folder_with_data_or_in_another_one_is_refused(deep: Path) -> None:
    (deep / "file").write_text("of the time when the app was root")
    with pytest.raises(Refused, match="'data/conf' is a folder that the node made"):
        load(deep.parent, io.BytesIO(made(A_FILE)), 0)
    deep.replace(deep.parent / "old/conf")
    with pytest.raises(Refused, match="'data/old/conf' is a folder that the node made"):
        load(deep.parent, io.BytesIO(made(A_FILE)), 0)


class Killed(BaseException):
    """The end of a program in the middle of something."""


@pytest.mark.parametrize("moves", range(7))
def test_an_exchange_that_was_broken_off_is_undone(
    moves: int, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five members, two are old: it is broken off before the last new one is there, and so on.

    Undoing it is broken off as well, at its first move, and done again.
    """
    (target / "file").write_text("old, too")
    before, move, left = described(target), in_pod._move, [moves]

    def counted(path: Path, into: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        move(path, into)

    monkeypatch.setattr(in_pod, "_move", counted)
    tops = len([*source.iterdir()])
    try:
        load(target, io.BytesIO(saved(source)), 0)
    except Killed:
        assert moves < 2 + tops
    else:
        assert moves >= 2 + tops
        before = described(source)
    left[0] = 1
    for _ in range(10):
        try:
            tidy(target)
        except Killed:
            left[0] = 1
    monkeypatch.setattr(in_pod, "_move", move)
    tidy(target)
    assert described(target) == before


def test_the_program_says_in_its_last_line_what_was_done(
    source: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    os.mkfifo(source / "pipe")
    in_pod.main(["save", str(source)])
    out, err = capsysbinary.readouterr()
    assert err == b'{"left_out": 1, "shown": ["\'data/pipe\'"]}\n'
    stdin = io.TextIOWrapper(io.BytesIO(out))
    monkeypatch.setattr("sys.stdin", stdin)
    in_pod.main(["load", str(target), "0"])
    count = len(described(target))
    assert capsysbinary.readouterr().err == f'{{"members": {count}}}\n'.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(out[:-1])))
    with pytest.raises(SystemExit, match="it is not whole"):
        in_pod.main(["load", str(target), "0"])
    with pytest.raises(SystemExit, match="No such file or directory"):
        in_pod.main(["load", str(target / "none"), "0"])

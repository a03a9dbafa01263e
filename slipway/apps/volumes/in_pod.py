"""The program in a pod that has a volume: it writes what is there as a tar, or has one replace it.

It has nothing but Python's standard library, and gets there as text. What goes to and fro is one
stream: a tar, and after its end the sha256 of all that was before, so that whoever reads it knows
that it is whole.

What is loaded is unpacked in a folder beside the data, which is exchanged only once all of it was
read and found right. A program that was ended in the middle of that is undone by the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import shutil
import stat
import sys
import tarfile
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any

TOP = "data"
"""What the names of members begin with."""

ASIDE = ".slipway-load"
"""The folder in a volume in which something is unpacked, and what is replaced waits for the end."""

NOT_DATA = (ASIDE, "lost+found")
"""What is at the top of a volume and no app's."""

NEW, OLD, FILLING, GONE = "new", "old", "filling", "gone"
"""In that folder: what was unpacked, what it replaces, a mark once all of that is away, and what
was replaced once all that is new is there.
"""

CHUNK = 1 << 20
DIGITS = hashlib.sha256().digest_size * 2
SHOWN = 5

FOLDER, FILE, LINK = "folder", "file", "link"

NAMING = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
"""What stands before a member whose name is long: it is read as a whole."""

LONGEST_NAMING = 1 << 16
LAST_SECOND = 1 << 40
LAST_USER = (1 << 32) - 2
"""How much of each a member may have: more than any, and what a system can give to a file."""

LONGEST_PATH = 4096
"""How many bytes the target of a link has at most, with one for its end (Linux: PATH_MAX)."""

MOST_LINKS = 40
"""How many links a system follows from one to the next (Linux: MAXSYMLINKS)."""

SPARSE = "a file in it is sparse, which none is that was saved"


class Refused(Exception):
    """What keeps data from being written or loaded; the text says why."""


class Checked:
    """A stream without the sum at its end, which it is compared with."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._rest = bytearray()
        self._sum = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes of what the sum is of; none at its end."""
        while len(self._rest) < size + DIGITS and (chunk := self._source.read(CHUNK)):
            self._rest += chunk
        count = min(size, max(0, len(self._rest) - DIGITS))
        given = bytes(self._rest[:count])
        del self._rest[:count]
        self._sum.update(given)
        self.size += count
        return given

    def check(self) -> str:
        """Read to the end; return the sum, or raise Refused when it is another."""
        while self.read(CHUNK):
            pass
        if self._rest.decode(errors="replace") != self._sum.hexdigest():
            raise Refused("it is not whole: its sum is not the one at its end")
        return self._sum.hexdigest()


class Unended:
    """A stream of which a tar has not seen the end: it would go on asking for what is not there."""

    def __init__(self, stream: Checked) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Some more; Refused where there is nothing."""
        if not (given := self._stream.read(size)):
            raise Refused("it is not whole: it ends in the middle of a member")
        return given


class Header(tarfile.TarInfo):
    """What is before a member; Refused where it would fill the memory.

    That is a long name, and a map of a sparse file: both are read as a whole, before anybody is
    told of the member.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
        """As the same of TarInfo."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in NAMING and found.size > LONGEST_NAMING:
            raise Refused(f"a name in it would have {found.size} bytes")
        if found.type == tarfile.GNUTYPE_SPARSE:
            raise Refused(SPARSE)
        return found

    def _proc_gnusparse_10(self, *_: object) -> None:
        """Where tarfile would read the map that stands before a file's content."""
        raise Refused(SPARSE)


class Summed:
    """Writes a stream, and its sum at the end."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._sum = hashlib.sha256()

    def write(self, content: bytes) -> None:
        """Write some of it, all of it: a stream without a buffer may take a part at a time."""
        self._sum.update(content)
        self._write(content)

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            left = left[self._target.write(left) :]

    def end(self) -> None:
        """Write the end of a tar, and the sum of all."""
        self.write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(self._sum.hexdigest().encode())
        self._target.flush()


def members(stream: Checked) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """The members of a tar, each of which a volume may hold; Refused for any other.

    Nothing in the archive leads out of it: a member is below folders that came before it, and is no
    device and no link to elsewhere, not by the way of other links either, which is known at the
    end.
    """
    known = {TOP: FOLDER}
    links: dict[str, str] = {}
    try:
        # What tarfile reads of a stream it reads but once, as it comes.
        with tarfile.open(  # type: ignore[call-overload]
            fileobj=Unended(stream), mode="r|", bufsize=CHUNK, encoding="utf-8", tarinfo=Header
        ) as tar:
            for member in tar:
                tar.members.clear()  # or the memory would have to hold all of them
                if why := fault(member, known):
                    raise Refused(f"{_shown(member.name)} {why}")
                known[member.name] = _kind(member)
                if member.issym():
                    links[member.name] = member.linkname
                yield member, tar
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise Refused(f"it is no archive of a volume: {error}") from error
    for name, target in links.items():
        if leads_out(name, target, links):
            raise Refused(f"{_shown(name)} is a link that leads out of the volume by others")


def fault(member: tarfile.TarInfo, known: dict[str, str]) -> str:
    """Why a volume may not have a member, by the kinds of those before; empty if it may."""
    parts = member.name.split("/")
    if parts[0] != TOP or len(parts) < 2 or {"", ".", ".."} & {*parts}:
        return f"is not below {TOP}/"
    if parts[1] in NOT_DATA:
        return "has a name that no app's data has"
    no_target = member.issym() and not 0 < len(os.fsencode(member.linkname)) < LONGEST_PATH
    if "\0" in member.name + member.linkname or no_target:
        return "has a name or a target that no system takes"
    users = (member.uid, member.gid)
    if min(users) < 0 or max(users) > LAST_USER or not abs(member.mtime) < LAST_SECOND:
        return "has an owner or a time that no system takes"
    if member.name in known:
        return "is there twice"
    if known.get(posixpath.dirname(member.name)) != FOLDER:
        return "is in no folder of the archive"
    if member.issym() and leads_out(member.name, member.linkname, {}):
        return f"is a link that leads out of the volume, to {_shown(member.linkname)}"
    if member.islnk() and known.get(member.linkname) != FILE:
        return "is another name of no file of the archive"
    return "" if _kind(member) else "is neither a file, a folder nor a link"


def _kind(member: tarfile.TarInfo) -> str:
    """What a member is; empty if no volume may have that."""
    if member.isdir():
        return FOLDER
    if member.issym():
        return LINK
    plain = member.islnk() or (member.type in (tarfile.REGTYPE, tarfile.AREGTYPE))
    return FILE if plain and not member.sparse else ""


def leads_out(name: str, target: str, links: Mapping[str, str]) -> bool:
    """Whether a symbolic link leads out of the volume, by the way of these links among others."""
    if target.startswith("/"):
        return True
    at, ahead, followed = name.split("/")[:-1], target.split("/")[::-1], 0
    while ahead and followed < MOST_LINKS:
        part = ahead.pop()
        if part == "..":
            at.pop()
        elif part not in ("", "."):
            at.append(part)
        if not at:
            return True
        if further := links.get("/".join(at)):
            at.pop()
            ahead += further.split("/")[::-1]
            followed += 1
    return False


def _shown(name: str) -> str:
    return repr(name.encode(errors="surrogateescape").decode(errors="replace"))


def save(root: Path, target: IO[bytes]) -> list[str]:
    """Write what is in a volume; return what of it was left out, as none may be loaded with it.

    What goes away meanwhile is left out, and what gets shorter is filled up with zeros.
    """
    stream, left_out = Summed(target), []
    first: dict[tuple[int, int], str] = {}
    for path in _below(root):
        name = f"{TOP}/{path.relative_to(root)}"
        try:
            info = _described(path, name, first)
            file = path.open("rb") if info and info.type == tarfile.REGTYPE else None
        except FileNotFoundError:
            continue
        if info is None:
            left_out.append(name)
            continue
        stream.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if file:
            with file:
                _copy(file, info.size, stream)
    stream.end()
    return left_out


def _below(folder: Path) -> Iterator[Path]:
    """All that is in a folder, each folder before what is in it."""
    ahead = [iter(_in(folder))]
    while ahead:
        path = next(ahead[-1], None)
        if path is None:
            ahead.pop()
            continue
        yield path
        if _is_folder(path):
            ahead.append(iter(_in(path)))


def _in(folder: Path) -> list[Path]:
    """What is in a folder, in order; nothing where it has gone."""
    try:
        with os.scandir(folder) as found:
            return [folder / name for name in sorted(each.name for each in found)]
    except FileNotFoundError:
        return []


def _described(path: Path, name: str, first: dict[tuple[int, int], str]) -> tarfile.TarInfo | None:
    """The member that a path is; None for what no volume may be loaded with."""
    state = path.lstat()
    if name.split("/")[1] in NOT_DATA:
        return None
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(state.st_mode), int(state.st_mtime)
    info.uid, info.gid = state.st_uid, state.st_gid
    if stat.S_ISDIR(state.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(state.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
        return None if leads_out(name, info.linkname, {}) or _is_out(path, name) else info
    elif stat.S_ISREG(state.st_mode):
        is_shared = state.st_nlink > 1
        there = first.setdefault((state.st_dev, state.st_ino), name) if is_shared else name
        if there != name:
            info.type, info.linkname = tarfile.LNKTYPE, there
        else:
            info.size = state.st_size
    else:
        return None
    return info


def _is_out(path: Path, name: str) -> bool:
    """Whether what is at a path in a volume is out of it, once all links are followed."""
    root = os.path.realpath(path.parents[name.count("/") - 1])
    return os.path.commonpath([root, os.path.realpath(path)]) != root


def _copy(file: IO[bytes], size: int, stream: Summed) -> None:
    left = size
    while left and (chunk := file.read(min(left, CHUNK))):
        stream.write(chunk)
        left -= len(chunk)
    for at in range(0, left, CHUNK):
        stream.write(bytes(min(CHUNK, left - at)))
    stream.write(bytes(-size % tarfile.BLOCKSIZE))


def load(root: Path, source: IO[bytes], size: int) -> int:
    """Have what a stream holds in place of what is in a volume; return how many members that is.

    Of a stream of ``size`` bytes it is asked first whether there is room. Raises Refused, or
    OSError, with the volume as it was.
    """
    tidy(root)
    free = shutil.disk_usage(root).free
    if free < size:
        raise Refused(f"there is room for {free >> 20} MiB beside what is there, not {size >> 20}")
    try:
        count = _unpack(root / ASIDE / NEW, Checked(source))
        _exchange(root)
    finally:
        tidy(root)
    return count


def _unpack(into: Path, stream: Checked) -> int:
    into.mkdir(parents=True)
    folders: list[tuple[Path, tarfile.TarInfo]] = []
    count = 0
    for member, tar in members(stream):
        path = into / member.name.removeprefix(f"{TOP}/")
        count += 1
        if member.isdir():
            path.mkdir(0o700)
            folders.append((path, member))
        elif member.issym():
            path.symlink_to(member.linkname)
            _own(path, member)
        elif member.islnk():
            os.link(into / member.linkname.removeprefix(f"{TOP}/"), path, follow_symlinks=False)
        else:
            content = tar.extractfile(member)
            with path.open("xb") as file:
                shutil.copyfileobj(content, file, CHUNK)  # type: ignore[arg-type]
            _settle(path, member, member.mode & 0o1777)
    stream.check()
    for path, member in reversed(folders):
        _settle(path, member, member.mode & 0o3777)
    return count


def _settle(path: Path, member: tarfile.TarInfo, mode: int) -> None:
    """Give a file or a folder its owner, its mode, and its time."""
    _own(path, member)
    path.chmod(mode)
    os.utime(path, (member.mtime, member.mtime))


def _own(path: Path, member: tarfile.TarInfo) -> None:
    """Give something its owner: only root can, and what another user saved is that user's again."""
    if os.geteuid() == 0:
        os.chown(path, member.uid, member.gid, follow_symlinks=False)


def _exchange(root: Path) -> None:
    """Move what is in the volume aside, and what was unpacked to its place."""
    aside = root / ASIDE
    _refuse_fixed(root, aside / NEW)
    (aside / OLD).mkdir()
    for path in _data(root):
        _move(path, aside / OLD)
    (aside / FILLING).touch()
    for path in (aside / NEW).iterdir():
        if not (root / path.name).exists():  # what is there is fixed, and has all of it
            _move(path, root)
    os.sync()  # before that, what was there is all that a machine that fails would leave
    (aside / OLD).rename(aside / GONE)


def _refuse_fixed(root: Path, new: Path) -> None:
    """Refuse to exchange a folder that is fixed, unless it is at the top and may stay there."""
    for path in _below(root):
        if not _is_fixed(path) or _is_fixed(path.parent):
            continue
        if path.parent != root or not _may_stay(path, new / path.name):
            raise Refused(
                f"{_shown(f'{TOP}/{path.relative_to(root)}')} is a folder that the node made for "
                "what is mounted in it, and has to stay: mount that elsewhere, or give the folder "
                "a volume of its own"
            )


def _may_stay(path: Path, new: Path) -> bool:
    """Whether a folder has no content, and all of what is to be in its place."""
    wanted = chain([new], _below(new)) if os.path.lexists(new) else ()
    return not any(map(_has_content, _below(path))) and all(
        not _has_content(each)
        and os.path.lexists(there := path / each.relative_to(new))
        and _is_folder(each) == _is_folder(there)
        for each in wanted
    )


def _is_fixed(path: Path) -> bool:
    """Whether something is a folder that cannot be moved: another user's, and not empty.

    The node makes such a one where something is mounted several folders deep in the volume.
    """
    is_foreign = _is_folder(path) and os.geteuid() not in (0, path.lstat().st_uid)
    return is_foreign and not os.access(path, os.W_OK) and any(path.iterdir())


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _has_content(path: Path) -> bool:
    """Whether something is neither a folder nor an empty file."""
    return not _is_folder(path) and (path.is_symlink() or path.lstat().st_size > 0)


def _move(path: Path, into: Path) -> None:
    """Move something; a folder's owner has to have the right to write to it for that.

    A folder of another user's cannot be moved. Where something else is mounted in the volume, the
    node has made one: if it is empty, it is replaced.
    """
    state, is_folder = path.lstat(), _is_folder(path)
    mode = stat.S_IMODE(state.st_mode)
    if is_folder and os.geteuid() not in (0, state.st_uid) and not any(path.iterdir()):
        (into / path.name).mkdir(mode, exist_ok=True)
        path.rmdir()
        return
    is_closed = is_folder and not mode & stat.S_IWUSR
    if is_closed:
        path.chmod(mode | stat.S_IWUSR)
    path.rename(into / path.name)
    if is_closed:
        (into / path.name).chmod(mode)


def tidy(root: Path) -> None:
    """Leave a volume without anything aside: with all that it had where an exchange has no end."""
    aside = root / ASIDE
    if (aside / OLD).exists():
        if (aside / FILLING).exists():
            for path in _data(root):
                _move(path, aside / NEW)
            (aside / FILLING).unlink()
        for path in (aside / OLD).iterdir():
            _move(path, root)
    if aside.exists():
        for place, folders, _files in os.walk(aside):
            for name in folders:
                path = Path(place, name)
                if not path.is_symlink() and os.geteuid() in (0, path.lstat().st_uid):
                    path.chmod(0o700)  # or what is in it could not be removed
        shutil.rmtree(aside)


def _data(root: Path) -> list[Path]:
    """What is at the top of a volume and can be exchanged."""
    return [path for path in root.iterdir() if path.name not in NOT_DATA and not _is_fixed(path)]


def main(argv: list[str]) -> None:
    """Do one thing with a volume, and say in the last line what was done, or why it was not."""
    doing, root = argv[0], Path(argv[1])
    told: dict[str, Any] = {}
    try:
        if doing == "save":
            left_out = save(root, sys.stdout.buffer)
            told = {"left_out": len(left_out), "shown": [_shown(each) for each in left_out[:SHOWN]]}
        else:
            told = {"members": load(root, sys.stdin.buffer, int(argv[2]))}
    except Refused as error:
        sys.exit(str(error))
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else "the volume"
        sys.exit(f"{_shown(name)}: {error.strerror}")
    print(json.dumps(told), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])

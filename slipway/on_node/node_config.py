"""Files of a node and the units that use them: the work of the module node_config."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tempfile
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from slipway.on_node.shared import (
    FORMER,
    HOME,
    RECORD,
    SIGN,
    Failed,
    Modes,
    place,
    program,
    take_back,
    tool,
)

SUMS = f"{HOME}/sums.json"
"""Has the states in which large files were found right, by their paths."""

LARGE = 1 << 20
"""Bytes that take longer to be read than to be remembered."""

SETTLED_SECONDS = 1.0

UNITS = "/etc/systemd/system"

RANDOM = "<32 random bytes>"
"""What stands for a key in a file that is made once."""

KEY_BYTES = 32

JOURNAL_LINES = "15"
"""Lines of a failed unit's journal that go into the message."""


def record() -> dict[str, Any]:
    """What Slipway put on the machine so far, in its order."""
    if place(RECORD).exists():
        found: dict[str, Any] = json.loads(place(RECORD).read_text(encoding="utf-8"))
        return found
    return {"earlier": place(SIGN).exists(), "placed": []}


def note(paths: list[str], units: list[str], undo: list[str], role: str) -> None:
    """Add to the record what is about to be put there, and keep the files that it replaces.

    The machine's own units, which it had enabled before, are none of what is put there.
    """
    noted = record()
    known = {(each["kind"], each["name"]) for each in noted["placed"]}
    parents = [str(parent) for path in paths for parent in reversed(Path(path).parents)]
    files = {*paths, *(name for kind, name in known if kind == "file")}
    kinds = {
        "directory": [parent for parent in parents if not place(parent).exists()],
        "file": paths,
        "unit": [unit for unit in units if f"{UNITS}/{unit}" in files or not is_enabled(unit)],
        "command": undo,
    }
    found = dict.fromkeys((kind, name) for kind, names in kinds.items() for name in names)
    added = [
        {"kind": kind, "name": name, "role": role, "former": kind == "file" and keep(name)}
        for kind, name in found
        if (kind, name) not in known
    ]
    if added:
        write_record({**noted, "placed": noted["placed"] + added})


def write_record(noted: dict[str, Any]) -> None:
    """Have this record in the place of the one that is there."""
    replace({"path": RECORD, "content": json.dumps(noted, indent=1), "mode": "0644"})


def left(folders: list[str], paths: list[str]) -> list[str]:
    """The files that were put below folders and are wanted there no more, by the record."""
    return [
        each["name"]
        for each in record()["placed"]
        if each["kind"] == "file" and is_below(each["name"], folders) and each["name"] not in paths
    ]


def is_below(name: str, folders: list[str]) -> bool:
    """Whether a path is in one of the folders."""
    return any(name.startswith(f"{folder}/") for folder in folders)


def give_up(files: list[str], folders: list[str]) -> None:
    """Take files below folders back, and the directories that are empty then.

    The record forgets them at the end, so that what is interrupted is done again.
    """
    noted = record()
    taken = [each for each in noted["placed"] if each["name"] in files]
    taken += [each for each in noted["placed"] if is_directory_below(each, folders)]
    for each in sorted(taken, key=noted["placed"].index, reverse=True):
        take_back(each["kind"], each["name"], former=each["former"])
    gone = [each for each in taken if each["kind"] == "file" or not place(each["name"]).is_dir()]
    write_record({**noted, "placed": [each for each in noted["placed"] if each not in gone]})


def is_directory_below(entry: dict[str, Any], folders: list[str]) -> bool:
    """Whether an entry of the record is a directory in one of the folders."""
    return entry["kind"] == "directory" and is_below(entry["name"], folders)


def keep(path: str) -> bool:
    """Keep the file that is at a path; return whether there is one."""
    file, kept = place(path), place(FORMER + path)
    if not os.path.lexists(file):
        return False
    place(FORMER).mkdir(mode=0o700, parents=True, exist_ok=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)  # of a run that ended before it was in the record
    shutil.copy2(file, kept, follow_symlinks=False)
    owner = file.lstat()
    os.chown(kept, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return True


def sha256_of(path: Path) -> str:
    """The sha256, in hex, of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def found_right() -> dict[str, Any]:
    """The states in which large files were found right; empty where nothing is known of any."""
    try:
        states = json.loads(place(SUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return states if isinstance(states, dict) else {}


def remember(states: dict[str, Any]) -> None:
    """Keep these states, where there is a record with which they go; without them files are read.

    Nothing is lost where that cannot be written.
    """
    if place(RECORD).exists():
        with suppress(OSError):
            replace({"path": SUMS, "content": json.dumps(states), "mode": "0644"})


def state_of(found: os.stat_result, wanted: dict[str, Any]) -> list[Any]:
    """What is another whenever the file is, or is to be, without reading it.

    The time of its last change (ctime) is the kernel's own, which nobody sets back.
    """
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return [found.st_dev, found.st_ino, found.st_size, *times, wanted["sha256"]]


def differs(wanted: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether the file is missing or has another content or mode than wanted.

    One that was found ``right`` is not read again while nothing happens to it. It is added there
    if it is large, and so old that no other change can have come at the same tick of the clock.
    """
    path = place(wanted["path"])
    try:
        found = path.stat()
    except OSError:
        return True
    if found.st_mode & 0o7777 != int(wanted["mode"], 8):
        return True
    if wanted.get("once"):
        return False
    if found.st_size != wanted["size"]:
        return True
    state = state_of(found, wanted)
    if right.get(wanted["path"]) == state:
        return False
    if sha256_of(path) != wanted["sha256"]:
        return True
    if found.st_size >= LARGE and time.time() - found.st_ctime >= SETTLED_SECONDS:
        right[wanted["path"]] = state
    return False


def shown(path: Path) -> str:
    """What a diff shows of the file as it is now."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def text_for(wanted: dict[str, Any]) -> str:
    """The content of a file to be written, with a key of its own if it is made once."""
    text: str = wanted["content"]
    if not wanted.get("once"):
        return text
    return text.replace(RANDOM, base64.b64encode(os.urandom(KEY_BYTES)).decode())


def replace(wanted: dict[str, Any]) -> None:
    """Put the wanted content in the file's place, whole or not at all."""
    path = place(wanted["path"])
    if wanted.get("once") and path.exists():
        path.chmod(int(wanted["mode"], 8))
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".slipway-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            if wanted.get("sent"):
                with Path(wanted["sent"]).open("rb") as source:
                    shutil.copyfileobj(source, target)
            else:
                target.write(text_for(wanted).encode())
            target.flush()
            os.fsync(handle)
        temporary.chmod(int(wanted["mode"], 8))
        temporary.rename(path)
    except BaseException:
        temporary.unlink()
        raise


def newest(files: list[dict[str, Any]]) -> float:
    """When the last of the files that are there was written, in seconds since the epoch."""
    now = time.time()
    times = [place(entry["path"]).stat().st_mtime for entry in files]
    return max((each for each in times if each <= now), default=0.0)


def properties(unit: str, *names: str) -> dict[str, str]:
    """What systemd knows of a unit."""
    asked = ("systemctl", "show", "--timestamp=us+utc", f"--property={','.join(names)}", unit)
    return dict(line.split("=", 1) for line in tool(*asked).stdout.splitlines())


def moment(shown: str) -> float:
    """A time of systemd's, ``Sat 2026-11-28 20:15:00.000000 UTC``, in seconds since the epoch."""
    _day, _, time_of_day = shown.partition(" ")
    parsed = datetime.strptime(time_of_day, "%Y-%m-%d %H:%M:%S.%f UTC")
    return parsed.replace(tzinfo=timezone.utc).timestamp()


def is_enabled(unit: str) -> bool:
    """Whether the machine starts the unit by itself."""
    return properties(unit, "UnitFileState").get("UnitFileState") in ("enabled", "static")


def is_up(unit: str, written: float) -> bool:
    """Whether systemd has the unit enabled, and active since its files were ``written``.

    A unit that waits for its condition (the kubelet before the node is part of a cluster) is as
    much up as it can be. One that is older than its files was not restarted by a run that ended
    half way. Both times are of the clock as it was then, so it does not matter what became of the
    clock since, nor that others do not count the hours in which a machine sleeps.
    """
    times = ("ActiveEnterTimestamp", "ConditionTimestampMonotonic")
    state = properties(unit, "UnitFileState", "ActiveState", "ConditionResult", *times)
    if state["UnitFileState"] not in ("enabled", "static"):
        return False
    if state["ActiveState"] == "active":
        return moment(state["ActiveEnterTimestamp"]) >= written
    return state["ConditionResult"] == "no" and state["ConditionTimestampMonotonic"] != "0"


def bring_up(unit: str) -> str:
    """Enable the unit and start it anew; return why it did not work, or nothing."""
    for verb in ("enable", "restart"):
        done = tool("systemctl", verb, unit)
        if done.returncode != 0:
            journal = tool("journalctl", "--no-pager", "-o", "cat", "-n", JOURNAL_LINES, "-u", unit)
            return f"systemctl {verb} {unit}: {done.stderr.strip()}\n{journal.stdout}"
    return ""


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Compare with the wanted state, and make it so unless only asked to look.

    Nothing is done before all that has to be sent is there; ``to_send`` says what is not. Raises
    Failed where a unit does not start.
    """
    right = found_right()
    known = dict(right)
    wanted = [entry for entry in args["files"] if differs(entry, right)]
    if right != known and not modes.check:
        remember(right)
    surplus = [path for path in args["absent"] if os.path.lexists(place(path))]
    leaving = left(args["owned"], [entry["path"] for entry in args["files"]])
    placed = [entry["path"] for entry in wanted]
    replaced = placed + surplus + leaving
    units = args["units"]
    if not replaced:
        written = newest(args["files"])
        units = [unit for unit in units if not is_up(unit, written)]
    to_send = [e["path"] for e in wanted if e.get("content") is None and "sent" not in e]
    result = {
        "changed": bool(replaced or units),
        "replaced": replaced,
        "units": units,
        "diff": [difference(entry) for entry in wanted if is_shown(entry)] if modes.diff else [],
        "to_send": to_send,
    }
    if modes.check or to_send:
        return result
    note(placed + surplus, units, args["undo"], args["role"])
    for entry in wanted:
        replace(entry)
    for path in surplus:
        place(path).unlink()
    if leaving:
        give_up(leaving, args["owned"])
    if replaced and program("restorecon"):  # SELinux's labels; the folder's are there already
        tool("restorecon", "-i", *(str(place(path)) for path in replaced))
    if replaced and units:
        tool("systemctl", "daemon-reload")
    for unit in units:
        reason = bring_up(unit)
        if reason:
            raise Failed(reason, **result)
    return result


def is_shown(wanted: dict[str, Any]) -> bool:
    """Whether a diff has the file: it is a text, without a key of its own and without secrets."""
    hidden = wanted.get("once") or wanted.get("secret")
    return wanted.get("content") is not None and not hidden


def difference(wanted: dict[str, Any]) -> dict[str, str]:
    """The file before and after."""
    return {
        "before_header": wanted["path"],
        "after_header": wanted["path"],
        "before": shown(place(wanted["path"])),
        "after": wanted["content"],
    }

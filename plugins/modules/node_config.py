#!/usr/bin/python
"""Files of a node, and the systemd units that use them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: node_config
short_description: Have files on a node and the units that use them running
description:
  - Compares all the files of one step with what is on the node, replaces those that differ, and
    has the units enabled and active; a unit is restarted when a file was replaced.
  - One run does what a row of M(ansible.builtin.copy) and M(ansible.builtin.systemd_service)
    tasks would do, at the cost of one of them.
  - It is an action plugin that sends large files only where their content differs.
  - What it puts on a machine is in a record there, with the role that had it put, before it is put;
    M(node_reset) undoes that record. It outlives versions, so what a later one places no more is
    still known. Of a file that was there before, the former one is kept and comes back then.
options:
  files:
    description:
      - The files to have.
    type: list
    elements: dict
    default: []
    mutually_exclusive: [[content, source]]
    required_one_of: [[content, source]]
    suboptions:
      path:
        description: Absolute path on the node. Directories that lead there are made, mode 0755.
        type: path
        required: true
      content:
        description: The file's text. One of O(files[].content) and O(files[].source) is required.
        type: str
      source:
        description: A file on the controller with the content.
        type: path
      mode:
        description: Permission bits.
        type: str
        default: "0644"
      once:
        description:
          - Whether the file stays as it was first written, whatever O(files[].content) says later.
            In it, V(<32 random bytes>) stands for as many in base64, which are made on the node and
            shown to nobody.
        type: bool
        default: false
  absent:
    description:
      - Paths of files that must not be there.
    type: list
    elements: path
    default: []
  units:
    description:
      - Units to have enabled, and active since the files were written, in this order.
    type: list
    elements: str
    default: []
  undo:
    description:
      - Commands that take away what the units make while they run, which the machine keeps when
        they stop. They have to work as well where nothing of it is there.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Reports what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows text files before and after.
    support: full
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have containerd configured and running
  node_config:
    files:
      - path: /etc/containerd/config.toml
        content: "{{ lookup('ansible.builtin.template', 'config.toml.j2') }}"
    units:
      - containerd.service
"""

RETURN = r"""
replaced:
  description: Paths of the files that were (or would be) written or removed.
  returned: always
  type: list
  elements: str
units:
  description: The units that were (or would be) enabled, started or restarted.
  returned: always
  type: list
  elements: str
"""

ROOT = Path("/")
"""Of the file system that the paths are in."""

TOOL_SECONDS = 300.0
"""How long a tool may take."""

RECORD = "/var/lib/slipway/placed.json"
"""The record; M(node_reset) reads it."""

FORMER = "/var/lib/slipway/former"
"""Where files that were there before are kept, each under its own path."""

EARLIER = "/etc/sysctl.d/99-slipway.conf"
"""Without a record, it tells a machine that was set up before there were any."""

UNITS = "/etc/systemd/system"

RANDOM = "<32 random bytes>"
"""What stands for a key in a file that is made once."""

KEY_BYTES = 32

JOURNAL_LINES = "15"
"""Lines of a failed unit's journal that go into the message."""


def place(path: str) -> Path:
    """Where a path of the node is."""
    return ROOT / path.lstrip("/")


def record() -> dict[str, Any]:
    """What Slipway put on the machine so far, in its order."""
    if place(RECORD).exists():
        found: dict[str, Any] = json.loads(place(RECORD).read_text(encoding="utf-8"))
        return found
    return {"earlier": place(EARLIER).exists(), "placed": []}


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
        content = json.dumps({**noted, "placed": noted["placed"] + added}, indent=1)
        replace({"path": RECORD, "content": content, "mode": "0644"})


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


def differs(wanted: dict[str, Any]) -> bool:
    """Whether the file is missing or has another content or mode than wanted."""
    path = place(wanted["path"])
    try:
        found = path.stat()
    except OSError:
        return True
    if found.st_mode & 0o7777 != int(wanted["mode"], 8):
        return True
    if wanted.get("once"):
        return False
    return bool(found.st_size != wanted["size"] or sha256_of(path) != wanted["sha256"])


def text_of(path: Path) -> str:
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


def tool(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what came of it."""
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=TOOL_SECONDS
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(
            argv, 124, "", f"{argv[0]} took longer than {TOOL_SECONDS:.0f} s"
        )


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


def main() -> None:
    """Read the wanted state, compare, and make it so unless only asked to look."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "default": []},
            "absent": {"type": "list", "elements": "path", "default": []},
            "units": {"type": "list", "elements": "str", "default": []},
            "undo": {"type": "list", "elements": "str", "default": []},
            "role": {"type": "str", "default": ""},
            "probe": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    wanted = [entry for entry in params["files"] if differs(entry)]
    surplus = [path for path in params["absent"] if os.path.lexists(place(path))]
    replaced = [entry["path"] for entry in wanted] + surplus
    units = params["units"]
    if not replaced:
        written = newest(params["files"])
        units = [unit for unit in units if not is_up(unit, written)]
    diff = [
        {
            "before_header": entry["path"],
            "after_header": entry["path"],
            "before": text_of(place(entry["path"])),
            "after": entry["content"],
        }
        for entry in wanted
        if entry.get("content") is not None and not entry.get("once")
    ]
    result = {"changed": bool(replaced or units), "replaced": replaced, "units": units}
    to_send = [entry["path"] for entry in wanted if entry.get("content") is None]
    if module.check_mode or (params["probe"] and to_send):
        module.exit_json(to_send=to_send, diff=diff, **result)
    note(replaced, units, params["undo"], params["role"])
    for entry in wanted:
        replace(entry)
    for path in surplus:
        place(path).unlink()
    if replaced and shutil.which("restorecon"):  # SELinux's labels; the folder's are there already
        tool("restorecon", "-i", *(str(place(path)) for path in replaced))
    if replaced and units:
        tool("systemctl", "daemon-reload")
    for unit in units:
        reason = bring_up(unit)
        if reason:
            module.fail_json(msg=reason, **result)
    module.exit_json(diff=diff, **result)


if __name__ == "__main__":
    main()

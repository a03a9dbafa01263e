#!/usr/bin/python
"""Files of a node, and the systemd units that use them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
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
  commands:
    description:
      - Programs that the machine must have; without them nothing is changed.
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

JOURNAL_LINES = "15"
"""Lines of a failed unit's journal that go into the message."""


def sha256_of(path: Path) -> str:
    """The sha256, in hex, of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def differs(wanted: dict[str, Any]) -> bool:
    """Whether the file is missing or has another content or mode than wanted."""
    path = Path(wanted["path"])
    try:
        found = path.stat()
    except OSError:
        return True
    return (
        found.st_mode & 0o7777 != int(wanted["mode"], 8)
        or found.st_size != wanted["size"]
        or sha256_of(path) != wanted["sha256"]
    )


def text_of(path: Path) -> str:
    """What a diff shows of the file as it is now."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def replace(wanted: dict[str, Any]) -> None:
    """Put the wanted content in the file's place, whole or not at all."""
    path = Path(wanted["path"])
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".slipway-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            if wanted.get("sent"):
                with Path(wanted["sent"]).open("rb") as source:
                    shutil.copyfileobj(source, target)
            else:
                target.write(wanted["content"].encode())
        temporary.chmod(int(wanted["mode"], 8))
        temporary.rename(path)
    except BaseException:
        temporary.unlink()
        raise


def tool(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what came of it."""
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def newest(files: list[dict[str, Any]]) -> float:
    """When the last of the files that are there was written, in seconds since the epoch."""
    now = time.time()
    times = [Path(entry["path"]).stat().st_mtime for entry in files]
    return max((each for each in times if each <= now), default=0.0)


def is_up(unit: str, written: float) -> bool:
    """Whether systemd has the unit enabled, and active since its files were ``written``.

    A unit that waits for its condition (the kubelet before the node is part of a cluster) is as
    much up as it can be. One that is older than its files was not restarted by a run that ended
    half way.
    """
    wanted = "UnitFileState,ActiveState,ActiveEnterTimestampMonotonic,ConditionResult"
    wanted += ",ConditionTimestampMonotonic"
    shown = tool("systemctl", "show", f"--property={wanted}", unit).stdout
    state = dict(line.split("=", 1) for line in shown.splitlines())
    if state["UnitFileState"] not in ("enabled", "static"):
        return False
    if state["ActiveState"] == "active":
        age = time.monotonic() - int(state["ActiveEnterTimestampMonotonic"]) / 1e6
        return time.time() - age >= written
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
            "commands": {"type": "list", "elements": "str", "default": []},
            "probe": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    lacking = [command for command in params["commands"] if shutil.which(command) is None]
    if lacking:
        module.fail_json(msg=f"the machine lacks {', '.join(lacking)}: install what brings them")
    wanted = [entry for entry in params["files"] if differs(entry)]
    surplus = [path for path in params["absent"] if os.path.lexists(path)]
    replaced = [entry["path"] for entry in wanted] + surplus
    units = params["units"]
    if not replaced:
        written = newest(params["files"])
        units = [unit for unit in units if not is_up(unit, written)]
    diff = [
        {
            "before_header": entry["path"],
            "after_header": entry["path"],
            "before": text_of(Path(entry["path"])),
            "after": entry["content"],
        }
        for entry in wanted
        if entry.get("content") is not None
    ]
    result = {"changed": bool(replaced or units), "replaced": replaced, "units": units}
    to_send = [entry["path"] for entry in wanted if entry.get("content") is None]
    if module.check_mode or (params["probe"] and to_send):
        module.exit_json(to_send=to_send, diff=diff, **result)
    for entry in wanted:
        replace(entry)
    for path in surplus:
        Path(path).unlink()
    if replaced and units:
        tool("systemctl", "daemon-reload")
    for unit in units:
        reason = bring_up(unit)
        if reason:
            module.fail_json(msg=reason, **result)
    module.exit_json(diff=diff, **result)


if __name__ == "__main__":
    main()

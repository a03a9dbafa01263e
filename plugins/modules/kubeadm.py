#!/usr/bin/python
"""A bare machine becomes a node."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: kubeadm
short_description: Carry out kubeadm init or join, or leave nothing of it
description:
  - Runs a command of kubeadm on a machine that is bare, as M(node_look) tells. A command that
    fails is undone, and its reason is told with the kubelet's last words.
  - As long as the command is not at its end, a note is on the machine, so that a run that is
    interrupted tells what it began from what others have there. Nothing else is ever undone.
options:
  command:
    description: What kubeadm is to do.
    type: str
    choices: [init, join]
    required: true
  config:
    description: The file with kubeadm's configuration.
    type: path
    default: /etc/kubernetes/kubeadm.yaml
  cluster:
    description: The cluster's name.
    type: str
    required: true
  endpoint:
    description: The URL of the cluster's API server.
    type: str
    required: true
  begun:
    description: Whether the machine has what an interrupted run began, which is undone first.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reports a change and makes none.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the machine join
  kubeadm:
    command: join
    cluster: lab
    endpoint: https://192.0.2.11:6443
"""

RETURN = r"""
undone:
  description: Whether something that an interrupted run had begun was undone first.
  returned: success
  type: bool
"""

ROOT = Path("/")
"""Of the file system that the paths are in."""

TOOL_SECONDS = 1800.0
"""How long a tool may take; kubeadm's own waits are shorter."""

MARKER = "/var/lib/slipway/kubeadm-began"
"""The note, which M(node_look) reads."""

MADE = (
    "etc/kubernetes/admin.conf",
    "etc/kubernetes/*kubelet.conf",
    "etc/kubernetes/manifests/*",
    "etc/kubernetes/pki/*",
    "var/lib/etcd/member",
    "var/lib/kubelet/config.yaml",
)
"""What kubeadm makes."""

PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are; Slipway's are in the first, which sudo leaves out on many machines."""

RESET = ("kubeadm", "reset", "--force", "--cri-socket=unix:///run/containerd/containerd.sock")

JOURNAL_LINES = "20"
"""Lines of the kubelet's journal that go into the message."""


def place(path: str) -> Path:
    """Where a path of the node is."""
    return ROOT / path.lstrip("/")


def tool(*argv: str, keep: int = -1) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what came of it; it keeps the file descriptor ``keep`` open.

    kubeadm looks for the kubelet where programs are.
    """
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        env={**os.environ, "PATH": PATH},
        start_new_session=True,
        pass_fds=(keep,) if keep >= 0 else (),
    ) as process:
        try:
            out, said = process.communicate(timeout=TOOL_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and what it started
            out, _said = process.communicate()
            said = f"{argv[0]} took longer than {TOOL_SECONDS:.0f} s"
    return subprocess.CompletedProcess(argv, process.returncode, out, said)


class NotOurs(Exception):
    """What is there is nothing that a run of this cluster was interrupted in."""


@contextmanager
def noted(note: dict[str, str], *, begun: bool) -> Iterator[int]:
    """Have the note on the disk, and hold a lock on it; gives its file descriptor.

    Whoever keeps the descriptor open keeps the lock, so that a kubeadm that outlives the run still
    has it. Raises NotOurs when the machine is not as it was seen any more: another run may have
    made it a node meanwhile, which is not to be undone.
    """
    path = place(MARKER)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(path) as file:
        before, found = file.read(), made()
        ours = begun and before and of_cluster(before) in (None, of_cluster(json.dumps(note)))
        if found and not ours:
            if not before:
                path.unlink()
            raise NotOurs(" ".join(found))
        file.truncate(0)
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        yield file.fileno()


@contextmanager
def locked(path: Path) -> Iterator[IO[str]]:
    """The note's file, locked: the one that is there, not one that was removed meanwhile."""
    while True:
        with path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                file.seek(0)
                yield file
                return


def of_cluster(note: str) -> tuple[str, str] | None:
    """The cluster that a note is of; None of one that says nothing."""
    try:
        said = json.loads(note)
        return said["cluster"], said["endpoint"]
    except (ValueError, KeyError):
        return None


def made() -> list[str]:
    """What there is of what kubeadm makes."""
    return sorted(f"/{path.relative_to(ROOT)}" for each in MADE for path in ROOT.glob(each))


def carry_out(command: str, config: str, lock: int) -> str:
    """Run the command; return why it failed, once nothing of it is left, or nothing."""
    done = tool("kubeadm", command, f"--config={config}", keep=lock)
    if done.returncode == 0:
        place(MARKER).unlink()
        return ""
    journal = tool("journalctl", "--no-pager", "-o", "cat", "-n", JOURNAL_LINES, "-u", "kubelet")
    left = undo(lock)
    if not left:
        place(MARKER).unlink()
    return f"{done.stderr.strip()}\nThe kubelet's last lines:\n{journal.stdout}{left}"


def undo(lock: int) -> str:
    """Undo what was begun; return what is to be said if that did not work."""
    done = tool(*RESET, keep=lock)
    if done.returncode == 0:
        return ""
    return f"What was begun could not be undone; the next run tries again:\n{done.stderr.strip()}"


def main() -> None:
    """Note, carry out, and undo what fails."""
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "str", "choices": ["init", "join"], "required": True},
            "config": {"type": "path", "default": "/etc/kubernetes/kubeadm.yaml"},
            "cluster": {"type": "str", "required": True},
            "endpoint": {"type": "str", "required": True},
            "begun": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    begun, command = params["begun"], params["command"]
    found = made()
    if found and not begun:
        module.fail_json(msg=f"the machine is not bare any more, and left alone: {' '.join(found)}")
    if module.check_mode:
        module.exit_json(changed=True, undone=begun)
    note = {key: params[key] for key in ("command", "cluster", "endpoint")}
    try:
        with noted(note, begun=begun) as lock:
            reason = undo(lock) if begun else ""
            reason = reason or carry_out(command, params["config"], lock)
    except NotOurs as error:
        module.fail_json(msg=f"the machine is not bare any more, and left alone: {error}")
    if reason:
        module.fail_json(msg=f"kubeadm {command} failed: {reason}")
    module.exit_json(changed=True, undone=begun)


if __name__ == "__main__":
    main()

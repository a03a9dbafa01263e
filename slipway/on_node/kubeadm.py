"""A bare machine becomes a node: the work of the module kubeadm."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from slipway.on_node.shared import LONG_SECONDS, MARKER, Failed, Modes, matching, place, tool

MADE = (
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/*kubelet.conf",
    "/etc/kubernetes/manifests/*",
    "/etc/kubernetes/pki/*",
    "/var/lib/etcd/member",
    "/var/lib/kubelet/config.yaml",
)
"""What kubeadm makes."""

RESET = ("kubeadm", "reset", "--force", "--cri-socket=unix:///run/containerd/containerd.sock")

JOURNAL_LINES = "20"
"""Lines of the kubelet's journal that go into the message."""


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
    return sorted(path for each in MADE for path in matching(each))


def bring(keys: dict[str, str]) -> None:
    """Write what the command is to find there, for root alone."""
    for name, content in keys.items():
        path = place(name)
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")


def carry_out(command: str, config: str, keys: dict[str, str], lock: int) -> str:
    """Run the command; return why it failed, once nothing of it is left, or nothing."""
    bring(keys)
    done = tool("kubeadm", command, f"--config={config}", keep=lock, seconds=LONG_SECONDS)
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
    done = tool(*RESET, keep=lock, seconds=LONG_SECONDS)
    if done.returncode == 0:
        return ""
    return f"What was begun could not be undone; the next run tries again:\n{done.stderr.strip()}"


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Note, carry out, and undo what fails; raises Failed with the reason."""
    begun, command = args["begun"], args["command"]
    left_alone = "the machine is not bare any more, and left alone"
    found = made()
    if found and not begun:
        raise Failed(f"{left_alone}: {' '.join(found)}")
    if modes.check:
        return {"changed": True, "undone": begun}
    note = {key: args[key] for key in ("command", "cluster", "endpoint")}
    try:
        with noted(note, begun=begun) as lock:
            reason = undo(lock) if begun else ""
            reason = reason or carry_out(command, args["config"], args["keys"], lock)
    except NotOurs as error:
        raise Failed(f"{left_alone}: {error}") from error
    if reason:
        raise Failed(f"kubeadm {command} failed: {reason}")
    return {"changed": True, "undone": begun}

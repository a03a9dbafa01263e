"""What several of the modules need that run on a node: its places, its programs, a way to fail."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path("/")
"""Of the file system that the paths are in."""

PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are; Slipway's are in the first, which sudo leaves out on many machines."""

TOOL_SECONDS = 300.0
"""How long a tool may take of which nobody knows better."""

PKI = "/etc/kubernetes/pki"
"""Where kubeadm keeps certificates and keys."""

LONG_SECONDS = 1800.0
"""The same of kubeadm and kubectl, whose own waits are shorter."""

HOME = "/var/lib/slipway"
"""What Slipway itself has on a node."""

RECORD = f"{HOME}/placed.json"
"""What was put on the node; node_config writes it, and node_reset undoes it."""

FORMER = f"{HOME}/former"
"""Where files that were there before are kept, each under its own path."""

SIGN = "/etc/sysctl.d/99-slipway.conf"
"""Without a record, it tells a machine that was set up before there were any."""

MARKER = f"{HOME}/kubeadm-began"
"""The note that the module kubeadm leaves for as long as a command is not at its end."""


class Modes(NamedTuple):
    """How a task is carried out: whether nothing may be changed, whether differences are asked."""

    check: bool = False
    diff: bool = False


class Failed(Exception):
    """Why a module did not do what it is for, and what else there is to tell."""

    def __init__(self, message: str, **result: Any) -> None:
        super().__init__(message)
        self.result = {**result, "failed": True, "msg": message}


def place(path: str) -> Path:
    """Where a path of the node is."""
    return ROOT / path.lstrip("/")


def api_server(address: str) -> str:
    """The URL of the API server that a control plane has at its own address."""
    return f"https://{address}:6443"


def write(path: Path, content: bytes) -> None:
    """Put a file in its place as a whole, for root alone; the kubelet overlooks the one before."""
    handle, name = tempfile.mkstemp(dir=str(path.parent), prefix=".slipway-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
    Path(name).rename(path)


def pointed_to(text: str, server: str) -> str:
    """A kubeconfig, as kubeadm and the kubelet write it, for another API server."""
    return re.sub(r"^(    server: ).*$", rf"\g<1>{server}", text, flags=re.MULTILINE)


def matching(pattern: str) -> list[str]:
    """The paths of the node that are of a pattern, sorted."""
    return sorted(f"/{path.relative_to(ROOT)}" for path in ROOT.glob(pattern.lstrip("/")))


def take_back(kind: str, name: str, *, former: bool) -> None:
    """Remove a file, or have the former one back; a directory goes if nothing else is in it."""
    path, kept = place(name), place(FORMER + name)
    if kind == "directory" and path.is_dir():
        if not any(path.iterdir()):
            path.rmdir()
    elif kind == "file" and not former:
        path.unlink(missing_ok=True)
    elif kind == "file" and os.path.lexists(kept):
        shutil.move(kept, path)


def text_of(path: str) -> str:
    """What is in a file; nothing where there is none."""
    try:
        return place(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def log_end(component: str, count: int) -> str:
    """The last lines of a static pod's newest log, below a title; empty where it has none."""
    logs = map(place, matching(f"/var/log/pods/kube-system_{component}-*/{component}/*.log"))
    newest = max(logs, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        return ""
    lines = newest.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    return "\n".join([f"the last lines of {component}:", *lines])


def program(name: str) -> str:
    """Where a program is; empty where there is none."""
    return shutil.which(name, path=PATH) or ""


def tool(
    *argv: str,
    given: str = "",
    seconds: float | None = None,
    env: Mapping[str, str] | None = None,
    keep: int = -1,
) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what came of it; OSError where it is not there.

    It gets what is ``given`` as its input, ``env`` beside the environment, and the file descriptor
    ``keep``. One that takes too long is ended with all that it started.
    """
    longest = TOOL_SECONDS if seconds is None else seconds
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        errors="replace",
        env={**os.environ, "PATH": PATH, **(env or {})},
        start_new_session=True,
        pass_fds=(keep,) if keep >= 0 else (),
    ) as process:
        try:
            out, said = process.communicate(given, timeout=longest)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _said = process.communicate()
            said = f"{argv[0]} took longer than {longest:.0f} s"
    return subprocess.CompletedProcess(argv, process.returncode, out, said)

"""A kubelet that nobody knows any more asks anew: the work of the module kubelet_bootstrap."""

from __future__ import annotations

import os
import time
from typing import Any

from slipway.on_node.certificates import KUBELET, look
from slipway.on_node.shared import Failed, Modes, place, tool

BOOTSTRAP = "/etc/kubernetes/bootstrap-kubelet.conf"
"""With this kubeconfig, the kubelet asks for a certificate where it has none that is good."""

POLL_SECONDS = 0.5
LINES = "10"


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Have the kubelet ask, and wait until it has what it asked for.

    What it asked with is left nowhere.
    """
    if not look()["kubelet_ended"]:
        return {"changed": False}
    if modes.check:
        return {"changed": True}
    path = place(BOOTSTRAP)
    path.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(args["kubeconfig"])
        tool("systemctl", "restart", "kubelet.service")
        deadline = time.monotonic() + args["timeout"]
        while look()["kubelet_ended"]:
            if time.monotonic() > deadline:
                said = tool("journalctl", "--no-pager", "-o", "cat", "-n", LINES, "-u", "kubelet")
                what = f"{KUBELET} has ended, and after {args['timeout']:.0f} s there is no other"
                raise Failed(f"{what}; the kubelet's last lines:\n{said.stdout.strip()}")
            time.sleep(POLL_SECONDS)
    finally:
        path.unlink(missing_ok=True)
    return {"changed": True}

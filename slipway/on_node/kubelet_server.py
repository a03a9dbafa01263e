"""A kubelet asks another API server of its cluster: the work of the module kubelet_server."""

from __future__ import annotations

from typing import Any

from slipway.on_node.shared import Failed, Modes, place, pointed_to, tool, write

KUBELET = "/etc/kubernetes/kubelet.conf"


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Write the server into the kubelet's kubeconfig, and start it anew; pods go on."""
    path = place(KUBELET)
    before = path.read_text(encoding="utf-8")
    after = pointed_to(before, args["server"])
    if after == before:
        return {"changed": False}
    if not modes.check:
        write(path, after.encode())
        done = tool("systemctl", "restart", "kubelet.service")
        if done.returncode != 0:
            write(path, before.encode())
            raise Failed(f"the kubelet does not start anew: {done.stderr.strip()}")
    return {"changed": True}

#!/usr/bin/python
"""A node without what Slipway put on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: node_reset
short_description: Take what Slipway put on a machine off it
description:
  - Has kubeadm leave the cluster, stops and removes Slipway's units, and removes its files, its
    routes, its bridge and its packet filter tables, and no others.
  - A node of another cluster, and a machine that Slipway never changed, are left as they are.
options:
  endpoint:
    description: The URL of the API server of the cluster that the machine is a node of.
    type: str
    required: true
attributes:
  check_mode:
    description: Lists what would be removed and removes nothing.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Take what Slipway put there off the machine
  node_reset:
    endpoint: https://192.0.2.11:6443
"""

RETURN = r"""
removed:
  description: Paths, units and tables that were (or would be) removed.
  returned: always
  type: list
  elements: str
"""

ROOT = Path("/")
"""Of the file system that the paths are in."""

UNITS = ("kubelet.service", "pod-routes.service", "containerd.service")
"""In the order in which they are stopped."""

PATHS = (
    *(f"/etc/systemd/system/{unit}" for unit in UNITS),
    "/etc/cni/net.d/10-slipway.conflist",
    "/etc/containerd/config.toml",
    "/etc/kubernetes",
    "/etc/modules-load.d/slipway.conf",
    *(f"/opt/cni/bin/{name}" for name in ("bridge", "host-local", "loopback", "portmap")),
    *(
        f"/usr/local/bin/{name}"
        for name in (
            "containerd",
            "containerd-shim-runc-v2",
            "ctr",
            "kubeadm",
            "kubectl",
            "kubelet",
            "runc",
        )
    ),
    "/usr/local/lib/slipway/pod-routes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/lib/slipway",
    "/var/log/containers",
    "/var/log/pods",
    "/etc/sysctl.d/99-slipway.conf",
)

FIRST = "/etc/sysctl.d/99-slipway.conf"
"""Is there from the first change to a machine until the last of what is removed."""

TABLES = ("ip slipway", "ip kube-proxy", "ip6 kube-proxy", "inet cni_hostport")
"""Packet filter tables of the pod network, of kube-proxy and of CNI's portmap."""

ROUTE_PROTOCOL = "217"
"""Marks the routes to other nodes' pods (role pod_network)."""


def place(path: str) -> Path:
    """Where a path of the node is."""
    return ROOT / path.removeprefix("/")


def tool(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what came of it."""
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def others(endpoint: str) -> str:
    """The API server of another cluster that the machine is a node of, if it is."""
    for name in ("admin", "kubelet"):
        path = place(f"/etc/kubernetes/{name}.conf")
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        server = re.search(r"^    server: (\S+)$", text, re.MULTILINE)
        if server and server[1] != endpoint:
            return server[1]
    return ""


def present() -> list[str]:
    """Everything that there is to remove."""
    paths = [path for path in PATHS if place(path).exists()]
    tables = tool("nft", "list", "tables").stdout.splitlines() if shutil.which("nft") else []
    found = [f"table {name}" for name in TABLES if f"table {name}" in tables]
    bridge = ["link cni0"] if tool("ip", "link", "show", "cni0").returncode == 0 else []
    return [*paths, *found, *bridge]


def remove(found: list[str]) -> str:
    """Remove what :func:`present` found; return why that did not work, or nothing."""
    if "/usr/local/bin/kubeadm" in found and "/etc/kubernetes" in found:
        left = tool(str(place("/usr/local/bin/kubeadm")), "reset", "--force")
        if left.returncode != 0:
            return left.stderr
    for unit in UNITS:
        if f"/etc/systemd/system/{unit}" in found:
            tool("systemctl", "disable", "--now", unit)
    tool("ip", "route", "flush", "proto", ROUTE_PROTOCOL)
    for item in found:
        kind, _, name = item.partition(" ")
        if kind == "table":
            tool("nft", "delete", "table", *name.split())
        elif kind == "link":
            tool("ip", "link", "delete", name)
        elif place(item).is_dir():
            shutil.rmtree(place(item))
        else:
            place(item).unlink(missing_ok=True)
    tool("systemctl", "daemon-reload")
    return ""


def main() -> None:
    """Find what is there and remove it, unless only asked to look."""
    module = AnsibleModule(
        argument_spec={"endpoint": {"type": "str", "required": True}}, supports_check_mode=True
    )
    other = others(module.params["endpoint"])
    if other:
        what = f"this machine is a node of the cluster at {other}, and left as it is"
        module.fail_json(msg=f"{what}\n    fix: take it out of the inventory", removed=[])
    found = present() if place(FIRST).exists() else []
    if found and not module.check_mode:
        reason = remove(found)
        if reason:
            module.fail_json(msg=f"kubeadm could not leave the cluster: {reason}", removed=[])
    module.exit_json(changed=bool(found), removed=found)


if __name__ == "__main__":
    main()

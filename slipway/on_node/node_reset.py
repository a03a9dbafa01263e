"""A node without what Slipway put on it: the work of the module node_reset."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from typing import Any

from slipway.on_node.shared import (
    HOME,
    LONG_SECONDS,
    PATH,
    RECORD,
    SIGN,
    Failed,
    Modes,
    api_server,
    place,
    take_back,
    tool,
)

WITH_NFT = f"/usr/local/lib/slipway/nft:{PATH}"
"""Where programs are; the nft of the bundle is in the first, where nobody else has it."""

KUBEADM = "/usr/local/bin/kubeadm"

MADE = {
    "kubeadm": (
        "/etc/kubernetes/admin.conf",
        "/etc/kubernetes/bootstrap-kubelet.conf",
        "/etc/kubernetes/controller-manager.conf",
        "/etc/kubernetes/kubelet.conf",
        "/etc/kubernetes/manifests",
        "/etc/kubernetes/pki",
        "/etc/kubernetes/scheduler.conf",
        "/etc/kubernetes/super-admin.conf",
        "/etc/kubernetes/tmp",
    ),
    "etcd": ("/var/lib/etcd",),
    "kube-apiserver": ("/var/log/kubernetes/audit",),
    "kubelet": ("/var/lib/kubelet", "/var/log/containers", "/var/log/pods"),
    "containerd": ("/var/lib/containerd",),
    "kube-proxy": ("table ip kube-proxy", "table ip6 kube-proxy"),
    "network-policies": ("table inet kube-network-policies",),
    "local-path-provisioner": ("/var/lib/slipway-volumes",),
    "CNI's bridge": ("link cni0",),
    "CNI's host-local": ("/var/lib/cni",),
    "CNI's portmap": ("table inet cni_hostport",),
}
"""What the programs that were put on a node make while they run, by its maker."""

PLUGINS = "/usr/libexec/kubernetes/kubelet-plugins"

MADE_TO_BE_FILLED = {
    "containerd": (
        "/etc/cni/net.d",
        "/etc/cni",
        "/opt/containerd/bin",
        "/opt/containerd/lib",
        "/opt/containerd",
    ),
    "kube-apiserver": ("/var/log/kubernetes",),
    "kubelet": (f"{PLUGINS}/volume/exec", f"{PLUGINS}/volume", PLUGINS, "/usr/libexec/kubernetes"),
}
"""Directories that they make for the files of others, which go only if they are empty then."""

EARLIER = (
    ("file", SIGN),
    ("file", "/etc/modules-load.d/slipway.conf"),
    ("file", "/usr/local/bin/containerd"),
    ("file", "/usr/local/bin/containerd-shim-runc-v2"),
    ("file", "/usr/local/bin/ctr"),
    ("file", "/usr/local/bin/runc"),
    ("file", "/etc/containerd/config.toml"),
    ("file", "/etc/systemd/system/containerd.service"),
    ("unit", "containerd.service"),
    ("directory", "/etc/kubernetes"),
    ("directory", "/etc/kubernetes/kubelet.conf.d"),
    ("file", "/usr/local/bin/kubeadm"),
    ("file", "/usr/local/bin/kubectl"),
    ("file", "/usr/local/bin/kubelet"),
    ("file", "/etc/systemd/system/kubelet.service"),
    ("file", "/etc/kubernetes/kubelet.conf.d/10-node.conf"),
    ("file", "/etc/kubernetes/resolv.conf"),
    ("unit", "kubelet.service"),
    ("file", "/etc/kubernetes/discovery.yaml"),
    ("file", "/etc/kubernetes/kubeadm.yaml"),
    ("file", "/opt/cni/bin/bridge"),
    ("file", "/opt/cni/bin/host-local"),
    ("file", "/opt/cni/bin/loopback"),
    ("file", "/opt/cni/bin/portmap"),
    ("file", "/etc/cni/net.d/10-slipway.conflist"),
    ("file", "/usr/local/lib/slipway/pod-routes"),
    ("file", "/etc/systemd/system/pod-routes.service"),
    ("unit", "pod-routes.service"),
    ("command", "ip route flush proto 217"),
    ("command", "nft 'add table ip slipway; delete table ip slipway'"),
)
"""What is on a machine that was set up before there was a record, whose first file tells such a
machine. It never grows: what is put on a node now is in its record."""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a tool, maybe the bundle's nft, and return what came of it."""
    return tool(*argv, seconds=LONG_SECONDS, env={"PATH": WITH_NFT})


def others(*servers: str) -> str:
    """The API server of another cluster than that of these that the machine is a node of."""
    for name in ("admin", "kubelet"):
        path = place(f"/etc/kubernetes/{name}.conf")
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        server = re.search(r"^    server: (\S+)$", text, re.MULTILINE)
        if server and server[1] not in servers:
            return server[1]
    return ""


def recorded() -> dict[tuple[str, str], bool]:
    """Everything that was put there, in its order: kind and name, and whether it replaced one."""
    path = place(RECORD)
    if path.exists():
        record = json.loads(path.read_text(encoding="utf-8"))
    else:
        record = {"earlier": place(SIGN).exists(), "placed": []}
    found = dict.fromkeys(EARLIER if record["earlier"] else (), False)
    for each in record["placed"]:
        found.setdefault((each["kind"], each["name"]), each["former"])
    return found


def is_shown(kind: str, name: str) -> bool:
    """Whether it can be said beforehand that this goes; nobody knows what a directory will have."""
    return kind in ("unit", "command") or (kind == "file" and os.path.lexists(place(name)))


def made() -> list[str]:
    """What there is of what the node's programs make."""
    has_nft = shutil.which("nft", path=WITH_NFT) is not None
    tables = run("nft", "list", "tables").stdout.splitlines() if has_nft else []
    return [item for items in MADE.values() for item in items if is_there(item, tables)]


def is_there(item: str, tables: list[str]) -> bool:
    """Whether there is such a table, link, or path."""
    kind, _, name = item.partition(" ")
    if kind == "table":
        return item in tables
    if kind == "link":
        return run("ip", "link", "show", name).returncode == 0
    return place(item).exists()


def leave() -> str:
    """Have the node leave its cluster; return why that did not work, or nothing."""
    if not (place(KUBEADM).exists() and place("/etc/kubernetes").exists()):
        return ""
    left = run(str(place(KUBEADM)), "reset", "--force")
    return f"kubeadm could not leave the cluster: {left.stderr}" if left.returncode != 0 else ""


def stop(kind: str, name: str) -> str:
    """Stop a unit, or undo what units made; return why that did not work, or nothing."""
    if kind == "unit":
        run("systemctl", "disable", "--now", name)
    elif kind == "command":
        argv = shlex.split(name)
        done = run(*argv) if shutil.which(argv[0], path=WITH_NFT) else None
        if done and done.returncode != 0:
            return f"{name}: {done.stderr}"
    return ""


def remove(item: str) -> None:
    """Remove a table, a link, or what is at a path."""
    kind, _, name = item.partition(" ")
    if kind == "table":
        run("nft", "delete", "table", *name.split())
    elif kind == "link":
        run("ip", "link", "delete", name)
    elif place(item).is_dir():
        shutil.rmtree(place(item))
    else:
        place(item).unlink()


def undo(placed: dict[tuple[str, str], bool]) -> str:
    """Undo all of it, what came last first; return why that did not work, or nothing.

    The record goes at the end, so that what is interrupted can be done again.
    """
    newest_first = list(reversed(placed.items()))
    reason = leave()
    for (kind, name), _former in newest_first:
        reason = reason or stop(kind, name)
    if reason:
        return reason
    for item in made():
        remove(item)
    for (kind, name), former in newest_first:
        take_back(kind, name, former=former)
    for name in (each for names in MADE_TO_BE_FILLED.values() for each in names):
        take_back("directory", name, former=False)
    run("systemctl", "daemon-reload")
    if place(HOME).exists():
        shutil.rmtree(place(HOME))
    return ""


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Find what is there and remove it, unless only asked to look.

    Raises Failed where the machine is another cluster's, or something could not be undone.
    """
    other = others(args["endpoint"], *map(api_server, args["control_planes"]))
    if other:
        what = f"this machine is a node of the cluster at {other}, and left as it is"
        raise Failed(f"{what}\n    fix: take it out of the inventory", removed=[])
    placed = recorded()
    going = [each for each, former in placed.items() if not former]
    removed = [name for kind, name in reversed(going) if is_shown(kind, name)]
    removed += made() if placed else []
    restored = [name for (_kind, name), former in placed.items() if former]
    if placed and not modes.check:
        reason = undo(placed)
        if reason:
            raise Failed(reason, removed=[])
    return {"changed": bool(placed), "removed": removed, "restored": restored}

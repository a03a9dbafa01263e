#!/usr/bin/python
"""What a machine is before it is made a node."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: node_look
short_description: Tell a bare machine from a node of this cluster, and refuse any other
description:
  - Looks for traces of a cluster, for other container runtimes, and for name servers that pods can
    reach. It fails with all that stands in the way of a node, and changes nothing but that note
    which is told of below.
  - A machine is taken for a node of the cluster when its kubelet speaks to O(endpoint). What
    M(kubeadm) began there for the cluster and was interrupted in is told by the note that it
    left. What had come to its end counts as a node, and the note goes.
  - While a kubeadm of an earlier run still runs there, it is waited for.
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  endpoint:
    description: The URL of the cluster's API server.
    type: str
    required: true
  control_plane:
    description: Whether the machine is the cluster's control plane, and not a worker.
    type: bool
    required: true
  version:
    description: The version of Kubernetes that the node is to run.
    type: str
    required: true
  ca:
    description: The certificate of the cluster's authority, if it is known; a node has to have it.
    type: str
    default: ""
  resolv_conf:
    description:
      - The file with the name servers for pods. Left empty, it is the first of the machine's own
        that has a server which pods can reach.
    type: str
    default: ""
attributes:
  check_mode:
    description: Leaves the note.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: See what the machine is
  node_look:
    cluster: lab
    endpoint: https://192.0.2.11:6443
    control_plane: false
    version: 1.36.3
"""

RETURN = r"""
state:
  description:
    - V(bare) if nothing of a cluster is there, V(begun) if a run was interrupted in making it a
      node, V(member) if it is a node of the cluster.
  returned: success
  type: str
refusals:
  description: What stands in the way, each with C(what), what was C(found), and the C(fix).
  returned: failure
  type: list
  elements: dict
resolv_conf:
  description:
    - The C(path) of the file with the name servers for pods, and its C(content) if it has to be
      written because no file of the machine's is fit for pods as it is.
  returned: success
  type: dict
control_groups:
  description: The version of its control groups, 1 or 2.
  returned: success
  type: int
"""

ROOT = Path("/")
"""Of the file system that the paths are in."""

TOOL_SECONDS = 300.0
"""How long a tool may take."""

PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are; Slipway's are in the first, which sudo leaves out on many machines."""

MARKER = "/var/lib/slipway/kubeadm-began"
"""The note that the module kubeadm leaves for as long as a command is not at its end."""

ADMIN = "/etc/kubernetes/admin.conf"
KUBELET = "/etc/kubernetes/kubelet.conf"

TRACES = (
    *(
        f"/etc/kubernetes/{name}.conf"
        for name in (
            "admin",
            "super-admin",
            "kubelet",
            "bootstrap-kubelet",
            "controller-manager",
            "scheduler",
        )
    ),
    "/etc/kubernetes/manifests/*",
    "/var/lib/etcd/member",
    "/var/lib/kubelet/config.yaml",
    "/etc/rancher/k3s",
    "/etc/rancher/rke2",
    "/var/lib/k0s",
    "/var/lib/rancher/k3s",
    "/var/lib/rancher/rke2",
    "/var/snap/microk8s",
)
"""Files of a cluster, kubeadm's or of another distribution."""

CERTIFICATES = ("/etc/kubernetes/pki", "/var/lib/kubelet/pki")
"""Folders that have files in a cluster of kubeadm's."""

KUBERNETES = (
    "kubelet.service",
    "etcd.service",
    "k0scontroller.service",
    "k0sworker.service",
    "k3s-agent.service",
    "k3s.service",
    "rke2-agent.service",
    "rke2-server.service",
    "snap.kubelet.daemon.service",
    "snap.microk8s.daemon-kubelite.service",
)
RUNTIMES = (
    "containerd.service",
    "cri-docker.service",
    "crio.service",
    "docker.service",
    "snap.docker.dockerd.service",
    "snap.microk8s.daemon-containerd.service",
)
"""Units that must not run on a machine that is made a node."""

OWN_CONTAINERD = "/etc/systemd/system/containerd.service"
"""Where the role container_runtime puts the unit."""

NODE_PORTS = (7472, 7946, 10248, 10249, 10250, 10256)
"""Of the kubelet, kube-proxy and MetalLB's speaker."""

CONTROL_PLANE_PORTS = (2379, 2380, 2381, 6443, 10257, 10259)

LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""

API_SECONDS = 60.0
"""How long an API server that a run was interrupted in starting may take to answer."""

RUNNING_SECONDS = 300.0
"""How long a kubeadm that an earlier run left behind may take."""

CONTROL_GROUPS = "/sys/fs/cgroup/cgroup.controllers"
"""A file that they have in version 2."""

RESOLV_CONFS = (
    "/etc/resolv.conf",
    # Behind 127.0.0.53 stands systemd-resolved, behind other loopback addresses often a dnsmasq.
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/NetworkManager/resolv.conf",
    "/run/dnsmasq/resolv.conf",
)
"""Files of the machine's that may have its name servers."""

OWN_RESOLV_CONF = "/etc/kubernetes/resolv.conf"
"""What is written when none of them is fit for pods as it is."""

MOST_SERVERS = 3
MOST_DOMAINS = 29
MOST_DOMAIN_CHARACTERS = 1900
"""What a pod can have, less the three domains that the kubelet puts in front (in a namespace with a
name of 63 characters they have 113)."""


class Refusal(Exception):
    """Something on the machine that must not be touched, and what its owner can do."""

    def __init__(self, what: str, fix: str, found: list[str] | None = None) -> None:
        self.parts = {"what": what, "fix": fix, "found": found or []}
        lines = [what, *(f"    found: {each}" for each in found or []), f"    fix: {fix}"]
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class Wanted:
    """What the machine is to be."""

    cluster: str
    endpoint: str
    control_plane: bool
    version: str
    ca: str
    resolv_conf: str


@dataclass(frozen=True)
class Kubeconfig:
    """Which cluster a kubeconfig on the machine is for."""

    cluster: str
    server: str


def place(path: str) -> Path:
    """Where a path of the node is."""
    return ROOT / path.lstrip("/")


def tool(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what came of it."""
    env = {**os.environ, "PATH": PATH}
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=TOOL_SECONDS, env=env
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(
            argv, 124, "", f"{argv[0]} took longer than {TOOL_SECONDS:.0f} s"
        )


def text_of(path: str) -> str:
    """What is in a file; nothing where there is none."""
    try:
        return place(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def kubeconfig(path: str) -> Kubeconfig | None:
    """What a kubeconfig of kubeadm's or the kubelet's says, as they write it."""
    text = text_of(path)
    server = re.search(r"^    server: \"?(\S+?)\"?$", text, re.MULTILINE)
    name = re.search(r"^  name: \"?(.*?)\"?$", text, re.MULTILINE)
    return Kubeconfig(name[1] if name else "", server[1]) if server else None


def traces() -> list[str]:
    """The files of a cluster that are there."""
    found = (path for pattern in TRACES for path in sorted(ROOT.glob(pattern.lstrip("/"))))
    files = [f"/{path.relative_to(ROOT)}" for path in found]
    return files + [f"files in {path}" for path in CERTIFICATES if any(place(path).glob("*"))]


def running(units: tuple[str, ...]) -> list[str]:
    """Those of the units that run, but for the containerd that is Slipway's."""
    if shutil.which("systemctl", path=PATH) is None:
        return []
    shown = tool("systemctl", "show", "--property=Id,ActiveState,FragmentPath", *units).stdout
    found = []
    for block in shown.split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if unit.get("ActiveState") == "active" and unit["FragmentPath"] != OWN_CONTAINERD:
            found.append(f"{unit['Id']} runs")
    return found


def ports_in_use(wanted: tuple[int, ...]) -> list[str]:
    """Those of the ports that something listens on."""
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in text_of(table).splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                listening.add(int(fields[1].rpartition(":")[2], 16))
    return [f"port {port} is in use" for port in wanted if port in listening]


def began() -> dict[str, str]:
    """The note of a command that did not come to its end; empty if there is none.

    A command that still runs holds a lock on it, and is waited for.
    """
    try:
        with place(MARKER).open(encoding="utf-8") as file:
            deadline = time.monotonic() + RUNNING_SECONDS
            while not locked(file.fileno()):
                if time.monotonic() > deadline:
                    what = "kubeadm of an earlier run still runs on this machine"
                    raise Refusal(what, "wait for its end, or stop it")
                time.sleep(0.5)
            note: dict[str, str] = json.load(file)
            return note if place(MARKER).exists() else {}
    except (FileNotFoundError, ValueError):
        return {}


def locked(descriptor: int) -> bool:
    """Whether nobody else holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def stranger(wanted: Wanted) -> str:
    """Which other cluster the machine is of; nothing if it is this one's, or of none."""
    for path in (ADMIN, KUBELET):
        found = kubeconfig(path)
        if found and found.server != wanted.endpoint:
            return f"the cluster at {found.server}"
    admin = kubeconfig(ADMIN)
    if admin and not wanted.control_plane:
        return f"the cluster at {admin.server}, as its control plane"
    if admin and admin.cluster != wanted.cluster:
        return f"the cluster '{admin.cluster}' at {admin.server}"
    own = text_of("/etc/kubernetes/pki/ca.crt").strip()
    if wanted.ca and own and own != wanted.ca.strip():
        return f"an earlier cluster at {wanted.endpoint}, with another certificate authority"
    return ""


def came_up() -> bool | None:
    """Whether an interrupted ``kubeadm init`` had done everything; None if nobody can tell.

    The last thing that it does is to have kube-proxy; short before, it exchanges the kubelet's
    first certificate for one that is renewed.
    """
    if not place("/var/lib/etcd/member").exists():
        return False
    deadline = time.monotonic() + API_SECONDS
    while True:
        asked = tool(
            *("kubectl", "--kubeconfig", str(place(ADMIN)), "--request-timeout=5s"),
            *("--namespace", "kube-system", "get", "daemonset", "kube-proxy"),
        )
        if asked.returncode == 0:
            return True
        if "NotFound" in asked.stderr:
            return False
        if time.monotonic() > deadline or not running(("kubelet.service",)):
            return None if "client-certificate-data" not in text_of(KUBELET) else False
        time.sleep(1)


def state(wanted: Wanted) -> dict[str, str]:
    """What the machine is: ``bare``, ``begun`` or ``member``."""
    note, found = began(), traces()
    ours = (note.get("cluster"), note.get("endpoint")) == (wanted.cluster, wanted.endpoint)
    other = stranger(wanted)
    if other:
        raise Refusal(
            f"this machine is a node of {other}; the inventory has it as a node of "
            f"'{wanted.cluster}' at {wanted.endpoint}",
            "take it out of the inventory; or 'make down' with the inventory of that cluster; or "
            "'kubeadm reset' on it, if nobody needs what runs there",
            [*found, *running(KUBERNETES)],
        )
    joined = kubeconfig(KUBELET) is not None
    if joined and ours and note["command"] == "init":
        up = came_up()
        if up is None:
            raise Refusal(
                "a run was interrupted when the control plane had come up, and its API server "
                "does not answer",
                "see 'journalctl -u kubelet' and /var/log/pods; if there is nothing to be saved, "
                "'kubeadm reset' on it",
                found,
            )
        joined = up
    if joined:
        same_version(wanted)
        return {"state": "member"}
    if found and ours:
        return {"state": "begun"}
    ports = NODE_PORTS + (CONTROL_PLANE_PORTS if wanted.control_plane else ())
    found += [*running(KUBERNETES + RUNTIMES), *ports_in_use(ports)]
    if found:
        raise Refusal(
            "this machine is not bare, and what is there is not of the cluster "
            f"'{wanted.cluster}' at {wanted.endpoint}",
            "take it out of the inventory; or remove what is there: 'kubeadm reset' for a cluster "
            "of kubeadm's, else its own uninstaller; stop and remove other container runtimes",
            found,
        )
    return {"state": "bare"}


def same_version(wanted: Wanted) -> None:
    """Refuse a node that runs another version: nothing here upgrades one."""
    kubelet = tool("kubelet", "--version").stdout if shutil.which("kubelet", path=PATH) else ""
    manifest = text_of("/etc/kubernetes/manifests/kube-apiserver.yaml")
    runs = {
        "the kubelet": re.search(r"v\d\S+", kubelet),
        "the API server": re.search(r"(?<=/kube-apiserver:)\S+", manifest),
    }
    others = [
        f"{what} of this node is {has[0]}"
        for what, has in runs.items()
        if has and has[0] != f"v{wanted.version}"
    ]
    if others:
        raise Refusal(
            f"slipway_versions.kubernetes is {wanted.version}, but {' and '.join(others)}",
            "set it to the cluster's, as Slipway neither upgrades nor downgrades one; or make the "
            "cluster anew (make down, make up)",
        )


def reachable(server: str) -> bool:
    """Whether a pod can reach a name server that its machine can."""
    try:
        address = ipaddress.ip_address(server)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_link_local:
            return False  # of a link that the pod does not have
        address = address.ipv4_mapped or address
    return not (address.is_loopback or address.is_unspecified)


def resolv_conf(wanted: Wanted) -> dict[str, dict[str, str]]:
    """The file with the name servers for pods, and what it has to be if it is not there yet."""
    paths = [wanted.resolv_conf] if wanted.resolv_conf else list(RESOLV_CONFS)
    found = []
    for path in paths:
        if not place(path).exists():
            found += [f"{path}: is not there"] if path == paths[0] else []
            continue
        text = text_of(path)
        servers = [words[1] for words in entries(text, "nameserver")]
        if wanted.resolv_conf and not servers:
            return {"resolv_conf": {"path": path, "content": ""}}
        if any(map(reachable, servers)):
            fit = as_pods_can(text)
            if wanted.resolv_conf or fit == text:
                return {"resolv_conf": {"path": path, "content": ""}}
            content = f"# From {path}.\n{fit}"
            return {"resolv_conf": {"path": OWN_RESOLV_CONF, "content": content}}
        found.append(f"{path}: {' '.join(servers) or 'no name server'}")
    raise Refusal(
        "no file of this machine has a name server that pods can reach, which CoreDNS needs for "
        "names outside the cluster (a loopback address is the pod's own there)",
        "write one into a file on the machine (a line 'nameserver 192.0.2.53'), and set "
        "slipway_resolv_conf to its path",
        found,
    )


def entries(text: str, kind: str) -> list[list[str]]:
    """The lines of a ``resolv.conf`` that are of a kind and not without a value, as words."""
    lines = (line.split() for line in text.splitlines())
    return [words for words in lines if words[:1] == [kind] and len(words) > 1]


def as_pods_can(text: str) -> str:
    """A ``resolv.conf`` with no more than pods can have; the same text if it asks for no more."""
    servers = [words[1] for words in entries(text, "nameserver")]
    kept = [server for server in servers if reachable(server)][:MOST_SERVERS]
    domains = [words[1:] for words in entries(text, "search")][-1:]
    search = fitting(domains[0]) if domains else []
    if kept == servers and search == (domains[0] if domains else []):
        return text
    options = [" ".join(words) for words in entries(text, "options")]
    lines = [*(f"nameserver {server}" for server in kept), *options]
    return "\n".join([*lines, *([f"search {' '.join(search)}"] if search else []), ""])


def fitting(domains: list[str]) -> list[str]:
    """As many of the domains, from the first, as a pod can search."""
    kept = domains[:MOST_DOMAINS]
    while len(" ".join(kept)) > MOST_DOMAIN_CHARACTERS:
        kept.pop()
    return kept


def main() -> None:
    """Look, and say what is there or why it must not be touched."""
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "str", "required": True},
            "endpoint": {"type": "str", "required": True},
            "control_plane": {"type": "bool", "required": True},
            "version": {"type": "str", "required": True},
            "ca": {"type": "str", "default": ""},
            "resolv_conf": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    wanted = Wanted(**module.params)
    result: dict[str, Any] = {"changed": False}
    refusals = []
    for ask in (state, resolv_conf):
        try:
            result.update(ask(wanted))
        except Refusal as refusal:
            refusals.append(refusal)
    result["control_groups"] = 2 if place(CONTROL_GROUPS).exists() else 1
    if refusals:
        module.fail_json(
            msg="\n".join(map(str, refusals)), refusals=[each.parts for each in refusals]
        )
    if result["state"] == "member" and place(MARKER).exists():
        result["changed"] = True
        if not module.check_mode:
            place(MARKER).unlink()
    module.exit_json(**result)


if __name__ == "__main__":
    main()

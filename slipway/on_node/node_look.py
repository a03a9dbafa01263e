"""What a machine is before it is made a node: the work of the module node_look."""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import json
import re
import time
from dataclasses import dataclass
from typing import Any

from slipway.on_node.certificates import look as look_at_certificates
from slipway.on_node.shared import (
    MARKER,
    Failed,
    Modes,
    api_server,
    matching,
    place,
    program,
    text_of,
    tool,
)

ADMIN = "/etc/kubernetes/admin.conf"
KUBELET = "/etc/kubernetes/kubelet.conf"
AUTHORITY = "/etc/kubernetes/pki/ca.crt"

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
    control_planes: list[str]
    control_plane: bool
    version: str
    ca: str = ""
    resolv_conf: str = ""

    @property
    def servers(self) -> tuple[str, ...]:
        """The API servers of this cluster that kubeconfigs on the machine may name."""
        return (self.endpoint, *map(api_server, self.control_planes))


@dataclass(frozen=True)
class Kubeconfig:
    """Which cluster a kubeconfig on the machine is for."""

    cluster: str
    server: str


def kubeconfig(path: str) -> Kubeconfig | None:
    """What a kubeconfig of kubeadm's or the kubelet's says, as they write it."""
    text = text_of(path)
    server = re.search(r"^    server: \"?(\S+?)\"?$", text, re.MULTILINE)
    name = re.search(r"^  name: \"?(.*?)\"?$", text, re.MULTILINE)
    return Kubeconfig(name[1] if name else "", server[1]) if server else None


def traces() -> list[str]:
    """The files of a cluster that are there."""
    files = [path for pattern in TRACES for path in matching(pattern)]
    return files + [f"files in {path}" for path in CERTIFICATES if any(place(path).glob("*"))]


def running(units: tuple[str, ...]) -> list[str]:
    """Those of the units that run, but for the containerd that is Slipway's."""
    if not program("systemctl"):
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
        if found and found.server not in wanted.servers:
            return f"the cluster at {found.server}"
    admin = kubeconfig(ADMIN)
    if admin and not wanted.control_plane:
        return f"the cluster at {admin.server}, as its control plane"
    if admin and admin.cluster != wanted.cluster:
        return f"the cluster '{admin.cluster}' at {admin.server}"
    own = text_of(AUTHORITY).strip()
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
    kubelet = kubeconfig(KUBELET)
    joined = kubelet is not None
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
    if joined and ours and note["command"] == "join" and wanted.control_plane:
        # The kubelet of a control plane runs before etcd and the API server do. The others go on.
        joined = False
    if kubelet and joined:
        same_version(wanted)
        authority = hashlib.sha256(text_of(AUTHORITY).encode()).hexdigest()
        return {"state": "member", "server": kubelet.server, "authority": authority}
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
    kubelet = tool("kubelet", "--version").stdout if program("kubelet") else ""
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


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Look, and say what is there; raises Failed with what must not be touched."""
    wanted = Wanted(**args)
    result: dict[str, Any] = {"changed": False}
    refusals = []
    for ask in (state, resolv_conf):
        try:
            result.update(ask(wanted))
        except Refusal as refusal:
            refusals.append(refusal)
    result.update(look_at_certificates())
    result["control_groups"] = 2 if place(CONTROL_GROUPS).exists() else 1
    if refusals:
        parts = [each.parts for each in refusals]
        raise Failed("\n".join(map(str, refusals)), refusals=parts)
    if result["state"] == "member" and place(MARKER).exists():
        result["changed"] = True
        if not modes.check:
            place(MARKER).unlink()
    return result

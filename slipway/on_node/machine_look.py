"""What a machine has, as it is: the work of the module machine_look.

Its system, resources and network; judged by nobody here.
"""

from __future__ import annotations

import gzip
import ipaddress
import json
import math
import os
import platform
import re
import resource
import select
import shlex
import socket
import struct
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from slipway.on_node.shared import Modes, place, program, text_of, tool

PROGRAMS = ("cp", "ip", "losetup", "mount", "umount")
"""What kubeadm, the kubelet and the pod network call and the bundle does not bring."""

MODULES = {
    "br_netfilter": "CONFIG_BRIDGE_NETFILTER",
    "bridge": "CONFIG_BRIDGE",
    "nf_conntrack": "CONFIG_NF_CONNTRACK",
    "nf_tables": "CONFIG_NF_TABLES",
    "nft_connlimit": "CONFIG_NFT_CONNLIMIT",
    "nft_masq": "CONFIG_NFT_MASQ",
    "overlay": "CONFIG_OVERLAY_FS",
    "veth": "CONFIG_VETH",
}
"""What pods need of the kernel: the name of the module, and of the setting that it is made by."""

SIGNS = {
    "br_netfilter": "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "nf_conntrack": "/proc/sys/net/netfilter/nf_conntrack_max",
}
"""What is there where the kernel has something, whether as a module or built in."""

UNLIMITED = 1 << 60
"""Version 1 of control groups has no word for 'no limit', but a number larger than any machine."""

OURS = "99-slipway.conf"
"""The file of the kernel's settings that nodes get; of those that set the same, the last holds."""

SYSCTL_FOLDERS = ("/usr/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d")
"""The later ones hide files of the same name in those before."""

TOOL_SECONDS = 10.0
ARP_SECONDS = 1.0
"""How long an answer to ARP may take; on one segment it takes milliseconds."""

ETCD_MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
ETCD_HEALTH = "http://127.0.0.1:2381/health"
"""Where kubeadm has etcd tell how it is, for its own node alone."""

ETCD_SECONDS = 2.0

ETCD_FOLDER = "/var/lib/etcd"
WRITES = 30
WRITTEN = b"\0" * 2300
"""What etcd writes and waits for is about as long."""

SYNC_SECONDS = 3.0
"""How long a disk is tried at most."""

ETHERTYPE_ARP = 0x0806
BROADCAST = b"\xff" * 6


class Mount(NamedTuple):
    """A line of /proc/self/mounts."""

    device: str
    path: str
    kind: str
    options: list[str]


def said(*argv: str) -> str:
    """What a tool says; OSError with its own words where it fails or is not there."""
    done = tool(*argv, seconds=TOOL_SECONDS, env={"LC_ALL": "C"})
    if done.returncode != 0:
        raise OSError(f"{shlex.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def mounts() -> list[Mount]:
    """What is mounted, in the order of mounting."""
    found = []
    for line in text_of("/proc/self/mounts").splitlines():
        # Blanks in names are written as \040, and so on (fstab(5)).
        fields = [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), each) for each in line.split()]
        found.append(Mount(fields[0], fields[1], fields[2], fields[3].split(",")))
    return found


def system() -> dict[str, Any]:
    """The distribution and the kernel."""
    about = {}
    for line in (text_of("/etc/os-release") or text_of("/usr/lib/os-release")).splitlines():
        name, is_set, value = line.partition("=")
        if is_set:
            about[name] = unquoted(value)
    release = platform.release()
    return {
        "id": about.get("ID", ""),
        "like": about.get("ID_LIKE", "").split(),
        "version": about.get("VERSION_ID", ""),
        "name": about.get("PRETTY_NAME", ""),
        "kernel": release,
        "processor": platform.machine(),
        "bits": struct.calcsize("P") * 8,
        "wsl": "microsoft" in release.lower(),
        "systemd": place("/run/systemd/system").is_dir(),
        "python": platform.python_version(),
        "user": os.geteuid(),
    }


def unquoted(value: str) -> str:
    """A value of os-release(5), which is written as for a shell."""
    try:
        return "".join(shlex.split(value, comments=True)[:1])
    except ValueError:  # a quote without its end
        return value


def lacking() -> list[str]:
    """The programs that a node calls and the machine does not have."""
    return [name for name in PROGRAMS if not program(name)]


def selinux() -> dict[str, bool]:
    """Whether SELinux enforces, and whether it has labels for files of containers."""
    known = place("/etc/selinux").glob("*/contexts/files/file_contexts")
    return {
        "enforces": text_of("/sys/fs/selinux/enforce").strip() == "1",
        "knows_containers": any("container_file_t" in path.read_text() for path in known),
    }


def memory() -> dict[str, int]:
    """Bytes of memory and of swap."""
    read = re.findall(r"^(\w+):\s+(\d+) kB$", text_of("/proc/meminfo"), re.MULTILINE)
    found = {name: int(size) * 1024 for name, size in read}
    return {"total": found["MemTotal"], "swap": found["SwapTotal"]}


def bounds() -> dict[str, float]:
    """What this process may have at most, as its control groups and its own limits say.

    ``memory`` in bytes, ``processor`` in cores, ``processes`` and ``files`` by number; what has
    no bound is left out.
    """
    shares = [words(group, "cpu.max") for group in own_groups("")]
    shares += [
        words(group, "cpu.cfs_quota_us") + words(group, "cpu.cfs_period_us")
        for group in own_groups("cpu")
    ]
    limits = {
        "memory": limits_of("", "memory.max") + limits_of("memory", "memory.limit_in_bytes"),
        "processes": limits_of("", "pids.max") + limits_of("pids", "pids.max"),
        "processor": [int(share[0]) / int(share[1]) for share in shares if share[0].isdigit()],
    }
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limits["files"] = [] if hard == resource.RLIM_INFINITY else [hard]
    return {name: min(found) for name, found in limits.items() if found}


def limits_of(controller: str, file: str) -> list[float]:
    """The numbers that a file has in this process's control group and in those above it."""
    found = [words(group, file)[0] for group in own_groups(controller)]
    return [int(text) for text in found if text.isdigit() and int(text) < UNLIMITED]


def words(folder: Path, file: str) -> list[str]:
    """What a file of a control group says; one word that is no number where it says nothing."""
    try:
        return (folder / file).read_text(encoding="utf-8").split()
    except OSError:  # of a group that bounds nothing, or that this user may not see
        return ["none"]


def own_groups(controller: str) -> list[Path]:
    """This process's control group of a controller of version 1, or of version 2, and those above.

    A container that sees itself at the top has the name from outside in /proc.
    """
    kind = "cgroup" if controller else "cgroup2"
    tops = [
        m.path for m in mounts() if m.kind == kind and (not controller or controller in m.options)
    ]
    lines = [line.split(":", 2) for line in text_of("/proc/self/cgroup").splitlines()]
    paths = [path for _, names, path in lines if controller in names.split(",")]
    if not tops or not paths:
        return []
    top, group = place(tops[0]), place(f"{tops[0]}/{paths[0]}")
    above = [group, *group.parents]
    return above[: above.index(top) + 1]


def inotify() -> dict[str, int]:
    """How much a user may watch: the kernel's setting, or that of the user's name space."""
    found = {}
    for name in ("instances", "watches"):
        texts = [
            text_of(f"/proc/sys/fs/inotify/max_user_{name}"),
            text_of(f"/proc/sys/user/max_inotify_{name}"),
        ]
        found[name] = min(int(text) for text in texts if text)
    return found


def control_groups() -> dict[str, Any]:
    """Their version (0 for none), the controllers, and whether they are mounted for writing."""
    there = mounts()
    groups = [m for m in there if m.kind == "cgroup"]
    known = {line.split()[0] for line in text_of("/proc/cgroups").splitlines()[1:]}
    if any(m.kind == "cgroup2" and m.path == "/sys/fs/cgroup" for m in there) or not groups:
        groups = [m for m in there if m.kind == "cgroup2"][:1]
        controllers = text_of(f"{groups[0].path}/cgroup.controllers").split() if groups else []
        version = 2 if groups else 0
    else:
        controllers = sorted({name for m in groups for name in m.options} & known)
        version = 1
    written = all(
        not os.statvfs(place(m.path)).f_flag & os.ST_RDONLY and os.access(place(m.path), os.W_OK)
        for m in groups
    )
    return {"version": version, "controllers": controllers, "writable": written}


def modules() -> dict[str, str]:
    """Whether the kernel has what pods need.

    Of each: ``there``, ``loadable``, ``absent``, ``lost`` where the running kernel's modules are
    gone and others are there, or ``unknown``.
    """
    release = platform.release()
    folder = f"/lib/modules/{release}"
    built_in, others = text_of(f"{folder}/modules.builtin"), text_of(f"{folder}/modules.dep")
    locked = text_of("/proc/sys/kernel/modules_disabled").strip() == "1"
    settings = kernel_settings(release)
    loaded = text_of("/proc/filesystems").split()
    found = {}
    for name, setting in MODULES.items():
        named = re.compile(rf"/{name}\.ko", re.MULTILINE)
        if (
            place(f"/sys/module/{name}").exists()
            or name in loaded
            or place(SIGNS.get(name, folder + "/none")).exists()
            or named.search(built_in)
            or settings.get(setting) == "y"
        ):
            found[name] = "there"
        elif others:
            found[name] = "loadable" if named.search(others) and not locked else "absent"
        elif any(place("/lib/modules").glob("*/modules.dep")):
            found[name] = "lost"
        else:
            found[name] = "absent" if settings and setting not in settings else "unknown"
    return found


def kernel_settings(release: str) -> dict[str, str]:
    """How the kernel was made, where it tells."""
    kept = place("/proc/config.gz")
    if kept.exists():
        text = gzip.decompress(kept.read_bytes()).decode(errors="replace")
    else:
        text = text_of(f"/boot/config-{release}")
    return dict(re.findall(r"^(CONFIG_\w+)=([ym])$", text, re.MULTILINE))


def forwarding() -> dict[str, Any]:
    """Whether packets are forwarded, and by which file they are not from the next boot on."""
    files: dict[str, str] = {}
    for folder in SYSCTL_FOLDERS:
        for path in sorted(place(folder).glob("*.conf")):
            files[path.name] = folder
    pattern = re.compile(r"^-?\s*net[./]ipv4[./]ip_forward\s*=\s*0\s*$", re.MULTILINE)
    later = [f"{files[name]}/{name}" for name in sorted(files) if name > OURS]
    return {
        "on": text_of("/proc/sys/net/ipv4/ip_forward").strip() == "1",
        "ended_by": [path for path in later if pattern.search(text_of(path))],
    }


def places(paths: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The file systems that paths are on, or will be."""
    there = mounts()
    found = {}
    for name, path in paths.items():
        folder = place(path)
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        room, inside = os.statvfs(folder), os.path.realpath(folder)
        over = [m for m in there if f"{inside}/".startswith(m.path.rstrip("/") + "/")]
        mount = max(over, key=lambda m: len(m.path), default=Mount("", "/", "", []))
        found[name] = {
            "path": path,
            "device": folder.stat().st_dev,
            "mount": mount.path,
            "kind": mount.kind,
            "options": mount.options,
            "writable": not room.f_flag & os.ST_RDONLY,
            "size": room.f_blocks * room.f_frsize,
            "free": room.f_bavail * room.f_frsize,
            "inodes": room.f_files,
            "inodes_free": room.f_favail,
        }
    return found


def routes() -> list[dict[str, str]]:
    """The networks that the machine has a way to, of all tables, as those of VPNs are."""
    try:
        listed = json.loads(said("ip", "-json", "route", "show", "table", "all") or "[]")
    except (OSError, ValueError):
        return plain_routes()
    return [
        {
            "to": each["dst"],
            "device": each.get("dev", ""),
            "protocol": each.get("protocol", ""),
        }
        for each in listed
        if each["dst"] != "default" and each.get("type", "unicast") == "unicast"
    ]


def plain_routes() -> list[dict[str, str]]:
    """Those of the main table, where there is no ip that can be asked."""
    found = []
    for line in text_of("/proc/net/route").splitlines()[1:]:
        fields = line.split()
        # Addresses are numbers as the processor has them.
        to, mask = (socket.inet_ntoa(struct.pack("=I", int(fields[n], 16))) for n in (1, 7))
        if mask != "0.0.0.0":
            found.append({"to": str(ipaddress.ip_network(f"{to}/{mask}")), "device": fields[0]})
    return found


def ways(addresses: list[str]) -> dict[str, str]:
    """How the machine would send to each of the addresses, in the words of ip; empty if it cannot.

    Which segment an address is on, only the machine's routes tell.
    """
    return {each: way(each) for each in addresses}


def way(address: str) -> str:
    """The way to an address."""
    try:
        return said("ip", "-o", "route", "get", address).strip()
    except OSError:  # it is unreachable
        return ""


def own_addresses() -> list[dict[str, Any]]:
    """The machine's addresses, with the networks that they are in."""
    return [
        {"address": each["local"], "length": each["prefixlen"], "device": link["ifname"]}
        for link in json.loads(said("ip", "-json", "address") or "[]")
        for each in link.get("addr_info", [])
        if "local" in each
    ]


def filters() -> dict[str, list[str]]:
    """The packet filters that stop what no rule lets through, with the rules that they have.

    By hook (``forward``, ``input``), a text for each chain; under ``user`` what the owner of a
    machine with Docker has put before its rules.
    """
    found: dict[str, list[str]] = {"forward": [], "input": [], "user": []}
    nft = program("nft")
    if nft:
        listed = json.loads(said(nft, "-j", "list", "chains") or "{}")
        for entry in listed.get("nftables", []):
            chain = entry.get("chain", {})
            if chain.get("policy") == "drop" and chain.get("hook") in ("forward", "input"):
                at = (chain["family"], chain["table"], chain["name"])
                text = said(nft, "list", "chain", *at)
                found[chain["hook"]].append(f"nftables {' '.join(at)}\n{text}")
    iptables = program("iptables")
    if iptables:
        # What is not legacy is seen by nft as well.
        legacy = not nft or "legacy" in said(iptables, "-V")
        rules = said(iptables, "-S").splitlines()
        for hook in ("forward", "input"):
            if legacy and f"-P {hook.upper()} DROP" in rules:
                own = [rule for rule in rules if rule.startswith(f"-A {hook.upper()} ")]
                found[hook].append("\n".join([f"iptables {hook.upper()}", *own]))
        found["user"] = [rule for rule in rules if rule.startswith("-A DOCKER-USER ")]
    return found


def firewalld() -> dict[str, Any]:
    """The zones of firewalld, as it lists them, and the one of interfaces that are in none."""
    client = program("firewall-cmd")
    try:
        default = said(client, "--get-default-zone").strip() if client else ""
    except OSError as error:
        if "not running" not in str(error):
            raise
        default = ""
    listed = said(client, "--list-all-zones") if default else ""
    return {"default": default, "zones": listed.splitlines()}


def ufw() -> dict[str, list[str]]:
    """What ufw says of itself, and the rules that were added to it."""
    client = program("ufw")
    told = {"status": ("status", "verbose"), "added": ("show", "added")}
    return {
        name: said(client, *words).splitlines() if client else [] for name, words in told.items()
    }


def taken(address: str, addresses: list[str]) -> dict[str, Any]:
    """Which of the addresses somebody on the segment has, as ARP tells (RFC 5227)."""
    devices = [each["device"] for each in own_addresses() if each["address"] == address]
    if not addresses or not devices:
        return {"asked": 0, "found": []}
    wanted = {socket.inet_aton(each): each for each in addresses}
    found = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ARP)) as asked:
        asked.bind((devices[0], 0))
        own = asked.getsockname()[4]
        head = BROADCAST + own + struct.pack("!HHHBBH", ETHERTYPE_ARP, 1, 0x0800, 6, 4, 1)
        for each in wanted:
            asked.send(head + own + bytes(4) + bytes(6) + each)
        deadline = time.monotonic() + ARP_SECONDS
        while select.select([asked], [], [], max(0.0, deadline - time.monotonic()))[0]:
            frame = asked.recv(64)
            sender, sent_from = frame[28:32], frame[22:28]
            if sender in wanted and sent_from != own:
                found.add(wanted[sender])
    return {"asked": len(wanted), "found": sorted(found, key=ipaddress.ip_address)}


def identity() -> dict[str, str]:
    """By what others on the network tell the machine from themselves."""
    machine_id = text_of("/etc/machine-id").strip()
    return {"hostname": socket.gethostname(), "machine_id": machine_id}


def etcd() -> dict[str, Any]:
    """Whether the machine has a member of etcd, and what that says of itself, if it does."""
    if not place(ETCD_MANIFEST).exists():
        return {"there": False, "health": ""}
    try:
        with urllib.request.urlopen(ETCD_HEALTH, timeout=ETCD_SECONDS) as answer:
            return {"there": True, "health": answer.read().decode(errors="replace")}
    except urllib.error.HTTPError as error:  # as it answers where it is not well
        return {"there": True, "health": error.read().decode(errors="replace")}
    except OSError:
        return {"there": True, "health": ""}


def sync(folder: str) -> float:
    """How many seconds nine of ten writes take at most until they are on the disk of a folder.

    It need not be there yet. Nothing is left there.
    """
    there = place(folder)
    while not there.is_dir():
        there = there.parent
    took: list[float] = []
    with tempfile.TemporaryFile(dir=str(there)) as file:
        deadline = time.monotonic() + SYNC_SECONDS
        while len(took) < WRITES and time.monotonic() < deadline:
            began = time.monotonic()
            os.write(file.fileno(), WRITTEN)
            os.fdatasync(file.fileno())
            took.append(time.monotonic() - began)
    return sorted(took)[math.ceil(len(took) * 0.9) - 1]


def look(wanted: dict[str, Any]) -> dict[str, Any]:
    """All facts, and the reasons why some of them are not known."""
    readers = {
        "system": system,
        "cores": lambda: len(os.sched_getaffinity(0)),
        "lacking": lacking,
        "selinux": selinux,
        "memory": memory,
        "bounds": bounds,
        "inotify": inotify,
        "control_groups": control_groups,
        "modules": modules,
        "forwarding": forwarding,
        "places": lambda: places(wanted["places"]),
        "routes": routes,
        "ways": lambda: ways(wanted["ways"]),
        "addresses": own_addresses,
        "filters": filters,
        "firewalld": firewalld,
        "ufw": ufw,
        "taken": lambda: taken(wanted["address"], wanted["addresses"]),
        "identity": identity,
        "etcd": etcd,
        "sync": lambda: sync(ETCD_FOLDER) if wanted.get("sync") else 0.0,
        "clock": time.time,
    }
    facts: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    for name, read in readers.items():
        try:
            facts[name] = read()
        except (OSError, ValueError, LookupError) as error:
            unknown[name] = str(error) or type(error).__name__
    return {"facts": facts, "unknown": unknown}


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Look, and say what is there."""
    return {"changed": False, **look(args)}

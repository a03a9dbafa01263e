"""machine_look on a directory as a machine, with tools that say what was prepared."""

from __future__ import annotations

import gzip
import json
import platform
import resource
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import machine_look, shared

RELEASE = platform.release()

IP = """#!/bin/sh
[ "$1" != -o ] || exec "{root}/way" "$4"
cat "{root}/$2.json"
"""


class Machine:
    """A directory with what a machine has."""

    def __init__(self, folder: Path) -> None:
        self.root, self.tools = folder / "root", folder / "tools"
        self.root.mkdir()
        self.tools.mkdir()
        self.tool("ip", IP.format(root=folder))
        self.folder = folder
        self.says("route", [])
        self.says("address", [])
        self.has("/proc/meminfo", "MemTotal:  2048 kB\nMemFree:  1 kB\nSwapTotal:  1024 kB\n")
        self.has("/proc/sys/net/ipv4/ip_forward", "1\n")

    def tool(self, name: str, script: str) -> None:
        """Let the machine have a tool."""
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def says(self, what: str, answer: list[dict[str, Any]]) -> None:
        """Let ip say this of routes or addresses."""
        (self.folder / f"{what}.json").write_text(json.dumps(answer))

    def has(self, path: str, text: str = "") -> None:
        """Let the machine have a file."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def mounts(self, *lines: str) -> None:
        """Let file systems be mounted: what, where, of which kind, with which options."""
        self.has("/proc/self/mounts", "".join(f"{line} 0 0\n" for line in lines))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of the test's own."""
    found = Machine(tmp_path)
    monkeypatch.setattr(shared, "ROOT", found.root)
    # Programs that the test's own machine may have or lack are links from here.
    for name in ("cat", "sh"):
        (found.tools / name).symlink_to(f"/bin/{name}")
    monkeypatch.setattr(shared, "PATH", str(found.tools))
    return found


def test_a_fact_that_cannot_be_read_keeps_no_other_from_being_read(machine: Machine) -> None:
    machine.has("/proc/meminfo", "nothing of use\n")
    nothing = {"places": {}, "address": "", "addresses": [], "ways": []}
    result = machine_look.main(nothing, shared.Modes())
    assert result["changed"] is False
    assert "MemTotal" in result["unknown"]["memory"]
    assert "memory" not in result["facts"]
    assert result["facts"]["forwarding"] == {"on": True, "ended_by": []}
    assert {*result["facts"], *result["unknown"]} == {
        *("system", "cores", "memory", "bounds", "inotify", "control_groups", "modules"),
        *("forwarding", "places", "routes", "addresses", "filters", "taken", "clock"),
        *("lacking", "selinux", "ways", "firewalld", "ufw", "identity", "etcd", "sync"),
    }


@pytest.mark.parametrize("path", ["/etc/os-release", "/usr/lib/os-release"])
def test_the_distribution_is_the_one_of_os_release(path: str, machine: Machine) -> None:
    text = "# comment\nID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME='Debian GNU/Linux 13'\n\nodd\n"
    machine.has(path, text)
    found = machine_look.system()
    assert (found["id"], found["version"], found["name"]) == ("debian", "13", "Debian GNU/Linux 13")
    assert found["kernel"] == RELEASE
    assert not found["systemd"]
    (machine.root / "run/systemd/system").mkdir(parents=True)
    assert machine_look.system()["systemd"]


def test_the_distributions_that_it_is_like_are_told(machine: Machine) -> None:
    machine.has("/etc/os-release", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n')
    assert machine_look.system()["like"] == ["rhel", "centos", "fedora"]
    machine.has("/etc/os-release", 'ID=debian\nPRETTY_NAME="no end\n')
    found = machine_look.system()
    assert (found["id"], found["like"], found["name"]) == ("debian", [], '"no end')


def test_programs_that_a_node_calls_are_looked_for_where_units_find_them(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in machine_look.PROGRAMS:
        machine.tool(name, "#!/bin/sh\n")
    monkeypatch.setenv("PATH", "/none")
    assert machine_look.lacking() == []
    for name in ("losetup", "ip"):
        (machine.tools / name).unlink()
    assert machine_look.lacking() == ["ip", "losetup"]


def test_selinux_is_asked_of_the_kernel_and_its_rules_of_the_policy(machine: Machine) -> None:
    assert machine_look.selinux() == {"enforces": False, "knows_containers": False}
    machine.has("/sys/fs/selinux/enforce", "1")
    contexts = "/etc/selinux/targeted/contexts/files/file_contexts"
    machine.has(contexts, "/bin  system_u:object_r:bin_t:s0\n")
    assert machine_look.selinux() == {"enforces": True, "knows_containers": False}
    machine.has(contexts, "/var/lib/containers(/.*)?  system_u:object_r:container_file_t:s0\n")
    machine.has("/sys/fs/selinux/enforce", "0")
    assert machine_look.selinux() == {"enforces": False, "knows_containers": True}


def test_windows_is_known_by_the_name_of_its_kernel(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not machine_look.system()["wsl"]
    monkeypatch.setattr("platform.release", lambda: "5.15.167.4-microsoft-standard-WSL2")
    assert machine_look.system()["wsl"]


def test_memory_is_in_bytes(machine: Machine) -> None:
    assert machine_look.memory() == {"total": 2 << 20, "swap": 1 << 20}


V1 = ("cgroup /sys/fs/cgroup/memory cgroup rw,memory", "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu")
V2 = ("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid",)


def test_the_least_bound_of_a_control_group_and_those_above_it_counts(machine: Machine) -> None:
    machine.mounts(*V2)
    machine.has("/proc/self/cgroup", "0::/user.slice/run\n")
    machine.has("/sys/fs/cgroup/user.slice/run/memory.max", "max\n")
    machine.has("/sys/fs/cgroup/user.slice/memory.max", "4096\n")
    machine.has("/sys/fs/cgroup/user.slice/run/cpu.max", "150000 100000\n")
    machine.has("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n")
    machine.has("/sys/fs/cgroup/user.slice/pids.max", "77\n")
    found = machine_look.bounds()
    assert (found["memory"], found["processor"], found["processes"]) == (4096, 1.5, 77)


def test_version_1_has_a_hierarchy_for_each_bound(machine: Machine) -> None:
    machine.mounts(*V1)
    machine.has("/proc/self/cgroup", "3:cpu,cpuacct:/a\n2:memory:/b\n1:name=systemd:/\n")
    machine.has("/sys/fs/cgroup/memory/b/memory.limit_in_bytes", "8192\n")
    machine.has("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    machine.has("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n")
    machine.has("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n")
    machine.has("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    machine.has("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    found = machine_look.bounds()
    assert (found["memory"], found["processor"]) == (8192, 0.5)
    assert "processes" not in found


def test_a_container_sees_its_bounds_at_the_top(machine: Machine) -> None:
    machine.mounts(*V1)
    machine.has("/proc/self/cgroup", "2:memory:/docker/0123\n")
    machine.has("/sys/fs/cgroup/memory/memory.limit_in_bytes", "8192\n")
    assert machine_look.bounds()["memory"] == 8192


def test_the_smaller_setting_of_inotify_counts(machine: Machine) -> None:
    for name, of_kernel, of_user in (("instances", 128, 8), ("watches", 500, 9000)):
        machine.has(f"/proc/sys/fs/inotify/max_user_{name}", f"{of_kernel}\n")
        machine.has(f"/proc/sys/user/max_inotify_{name}", f"{of_user}\n")
    assert machine_look.inotify() == {"instances": 8, "watches": 500}


CGROUPS = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t2\t1\t1\ncpu\t1\t1\t1\n"


@pytest.mark.parametrize(
    ("mounts", "version", "controllers"),
    [
        ((), 0, []),
        (V1, 1, ["cpu", "memory"]),
        (("tmpfs /sys/fs/cgroup tmpfs rw", *V1), 1, ["cpu", "memory"]),
        ((*V1, "cgroup2 /sys/fs/cgroup/unified cgroup2 rw"), 1, ["cpu", "memory"]),
        (V2, 2, ["cpu", "pids"]),
    ],
)
def test_control_groups_are_told_with_their_controllers(
    mounts: tuple[str, ...], version: int, controllers: list[str], machine: Machine
) -> None:
    machine.mounts(*mounts)
    machine.has("/proc/cgroups", CGROUPS)
    machine.has("/sys/fs/cgroup/cgroup.controllers", "cpu pids\n")
    for name in ("memory", "cpu", "unified"):
        (machine.root / "sys/fs/cgroup" / name).mkdir()
    found = machine_look.control_groups()
    assert found == {"version": version, "controllers": controllers, "writable": True}


def modules(machine: Machine, **files: str) -> dict[str, str]:
    """The state of modules by files in the folder of the kernel's."""
    for name, text in files.items():
        machine.has(f"/lib/modules/{RELEASE}/modules.{name}", text)
    return machine_look.modules()


def test_modules_are_there_loadable_or_absent(machine: Machine) -> None:
    (machine.root / "sys/module/bridge").mkdir(parents=True)
    machine.has("/proc/filesystems", "nodev\ttmpfs\nnodev\toverlay\n")
    machine.has("/proc/sys/net/bridge/bridge-nf-call-iptables", "1\n")
    dep = "kernel/drivers/net/veth.ko.xz:\nkernel/net/netfilter/nf_tables_set.ko:\n"
    found = modules(machine, builtin="kernel/net/netfilter/nft_masq.ko\n", dep=dep)
    assert found == {
        "br_netfilter": "there",
        "bridge": "there",
        "nf_conntrack": "absent",
        "nf_tables": "absent",
        "nft_connlimit": "absent",
        "nft_masq": "there",
        "overlay": "there",
        "veth": "loadable",
    }


def test_a_kernel_that_is_locked_loads_nothing(machine: Machine) -> None:
    machine.has("/proc/sys/kernel/modules_disabled", "1\n")
    assert modules(machine, dep="kernel/drivers/net/veth.ko:\n")["veth"] == "absent"


def test_a_kernel_whose_modules_are_gone_is_told_from_one_that_has_none(machine: Machine) -> None:
    assert machine_look.modules()["veth"] == "unknown"
    machine.has("/lib/modules/6.0.0-other/modules.dep", "kernel/drivers/net/veth.ko:\n")
    assert machine_look.modules()["veth"] == "lost"


@pytest.mark.parametrize("packed", [True, False])
def test_a_kernel_without_modules_tells_how_it_was_made(packed: bool, machine: Machine) -> None:
    text = "CONFIG_VETH=y\n# CONFIG_NFT_MASQ is not set\nCONFIG_NF_TABLES=y\n"
    if packed:
        (machine.root / "proc/config.gz").write_bytes(gzip.compress(text.encode()))
    else:
        machine.has(f"/boot/config-{RELEASE}", text)
    found = machine_look.modules()
    assert (found["veth"], found["nf_tables"], found["nft_masq"]) == ("there", "there", "absent")


def test_a_file_that_ends_forwarding_counts_if_it_comes_after_slipway_s(machine: Machine) -> None:
    off = "net.ipv4.ip_forward=0\n"
    machine.has("/etc/sysctl.d/10-network.conf", off)
    machine.has("/etc/sysctl.d/99-sysctl.conf", "# x\n-net/ipv4/ip_forward = 0\n")
    machine.has("/usr/lib/sysctl.d/99-zz.conf", off)
    machine.has("/etc/sysctl.d/99-zz.conf", "net.ipv4.ip_forward = 1\n")
    machine.has("/run/sysctl.d/99-z.conf", "#net.ipv4.ip_forward=0\n")
    machine.has("/proc/sys/net/ipv4/ip_forward", "0\n")
    found = machine_look.forwarding()
    assert found == {"on": False, "ended_by": ["/etc/sysctl.d/99-sysctl.conf"]}


def test_a_place_is_on_the_file_system_of_the_nearest_folder_that_is_there(
    machine: Machine, tmp_path: Path
) -> None:
    inside = machine.root / "var/lib"
    inside.mkdir(parents=True)
    machine.mounts(
        "/dev/vda / ext4 rw,relatime",
        f"/dev/vdb {machine.root}/var/li xfs rw",
        f"/dev/vdc {machine.root}/var btrfs rw,noexec",
        f"/dev/vdd {str(tmp_path)[:-1]}\\040x vfat rw",
    )
    found = machine_look.places({"images": "/var/lib/containerd/x"})["images"]
    assert found["path"] == "/var/lib/containerd/x"
    assert (found["kind"], found["options"]) == ("btrfs", ["rw", "noexec"])
    assert found["mount"] == f"{machine.root}/var"
    assert found["writable"]
    assert found["size"] >= found["free"] > 0
    assert found["device"] == inside.stat().st_dev
    assert machine_look.mounts()[-1].path.endswith(" x")


def test_routes_are_those_of_all_tables_that_lead_somewhere(machine: Machine) -> None:
    machine.says(
        "route",
        [
            {"dst": "default", "dev": "eth0"},
            {"dst": "10.8.0.0/16", "dev": "tun0", "table": "52", "protocol": "static"},
            {"type": "local", "dst": "192.0.2.5", "dev": "eth0", "table": "local"},
            {"type": "unicast", "dst": "192.0.2.0/24", "dev": "eth0"},
            {"type": "broadcast", "dst": "192.0.2.255", "dev": "eth0"},
            {"dst": "10.9.0.0/16"},
        ],
    )
    assert machine_look.routes() == [
        {"to": "10.8.0.0/16", "device": "tun0", "protocol": "static"},
        {"to": "192.0.2.0/24", "device": "eth0", "protocol": ""},
        {"to": "10.9.0.0/16", "device": "", "protocol": ""},
    ]


def test_routes_are_read_from_the_kernel_where_the_tool_knows_no_json(machine: Machine) -> None:
    machine.tool("ip", "#!/bin/sh\nexit 1\n")
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    rows = [("eth0", "0.0.0.0", "0.0.0.0"), ("tun0", "172.29.0.0", "255.255.0.0")]

    def number(address: str) -> str:
        return f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}"

    text = "".join(
        f"{device}\t{number(to)}\t00000000\t0001\t0\t0\t0\t{number(mask)}\t0\t0\t0\n"
        for device, to, mask in rows
    )
    machine.has("/proc/net/route", head + text)
    assert machine_look.routes() == [{"to": "172.29.0.0/16", "device": "tun0"}]


@pytest.mark.parametrize(("hard", "expected"), [(4096, 4096), (resource.RLIM_INFINITY, None)])
def test_a_limit_of_files_is_told_if_there_is_one(
    hard: int, expected: int | None, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, hard))
    assert machine_look.bounds().get("files") == expected


WAY = """#!/bin/sh
[ "$1" != 198.51.100.1 ] || { echo 'RTNETLINK answers: Network is unreachable' >&2; exit 2; }
echo "$1 via 192.0.2.1 dev eth0"
"""


def test_ways_are_told_in_the_words_of_ip_and_empty_where_there_is_none(machine: Machine) -> None:
    (machine.folder / "way").write_text(WAY)
    (machine.folder / "way").chmod(0o755)
    assert machine_look.ways(["192.0.2.21", "198.51.100.1"]) == {
        "192.0.2.21": "192.0.2.21 via 192.0.2.1 dev eth0",
        "198.51.100.1": "",
    }


def test_addresses_are_told_with_their_networks(machine: Machine) -> None:
    info = [{"local": "192.0.2.5", "prefixlen": 24}, {"family": "inet6"}]
    machine.says("address", [{"ifname": "eth0", "addr_info": info}, {}])
    assert machine_look.own_addresses() == [
        {"address": "192.0.2.5", "length": 24, "device": "eth0"}
    ]


NFT = """#!/bin/sh
case "$*" in
    "-j list chains") cat {folder}/chains ;;
    *) echo "rules of $*" ;;
esac
"""

IPTABLES = """#!/bin/sh
case "$*" in
    -V) echo "iptables v1.8.9 ({variant})" ;;
    *) cat {folder}/rules ;;
esac
"""


def filtered(machine: Machine, *, nft: bool, variant: str = "nf_tables") -> dict[str, list[str]]:
    """The filters of a machine with some of the tools."""
    chains = [
        {"metainfo": {}},
        {"chain": {"family": "inet", "table": "fw", "name": "in", "hook": "input"}},
        {
            "chain": {
                "family": "ip",
                "table": "filter",
                "name": "FORWARD",
                "hook": "forward",
                "policy": "drop",
            }
        },
        {
            "chain": {
                "family": "ip",
                "table": "filter",
                "name": "OUTPUT",
                "hook": "output",
                "policy": "drop",
            }
        },
    ]
    (machine.folder / "chains").write_text(json.dumps({"nftables": chains}))
    (machine.folder / "rules").write_text(
        "-P INPUT ACCEPT\n-P FORWARD DROP\n-N DOCKER-USER\n"
        "-A FORWARD -j DOCKER-USER\n-A DOCKER-USER -j DROP\n"
    )
    if nft:
        machine.tool("nft", NFT.format(folder=machine.folder))
    machine.tool("iptables", IPTABLES.format(folder=machine.folder, variant=variant))
    return machine_look.filters()


def test_filters_that_drop_are_told_once_with_their_rules(machine: Machine) -> None:
    assert filtered(machine, nft=True) == {
        "forward": ["nftables ip filter FORWARD\nrules of list chain ip filter FORWARD\n"],
        "input": [],
        "user": ["-A DOCKER-USER -j DROP"],
    }


@pytest.mark.parametrize(("nft", "count"), [(True, 2), (False, 1)])
def test_filters_of_the_former_kind_are_told_as_well(
    nft: bool, count: int, machine: Machine
) -> None:
    found = filtered(machine, nft=nft, variant="legacy")["forward"]
    assert len(found) == count
    assert found[-1] == "iptables FORWARD\n-A FORWARD -j DOCKER-USER"


def test_a_tool_that_fails_says_why_in_place_of_the_filters(machine: Machine) -> None:
    machine.tool("iptables", "#!/bin/sh\necho 'you must be root' >&2\nexit 4\n")
    with pytest.raises(OSError, match="you must be root"):
        machine_look.filters()


FIREWALL_CMD = """#!/bin/sh
case "$1" in
    --get-default-zone) echo public ;;
    --list-all-zones) printf 'public (active)\n  target: default\n' ;;
esac
"""
UFW = """#!/bin/sh
[ "$LC_ALL" = C ] || exit 1
case "$1" in
    status) printf 'Status: active\nLogging: on (low)\n' ;;
    *) printf 'Added user rules:\nufw allow 22/tcp\n' ;;
esac
"""


def test_firewalld_is_told_with_its_zones_while_it_runs(machine: Machine) -> None:
    nothing = {"default": "", "zones": []}
    assert machine_look.firewalld() == nothing
    machine.tool("firewall-cmd", FIREWALL_CMD)
    zones = ["public (active)", "  target: default"]
    assert machine_look.firewalld() == {"default": "public", "zones": zones}
    machine.tool("firewall-cmd", "#!/bin/sh\necho 'FirewallD is not running' >&2\nexit 252\n")
    assert machine_look.firewalld() == nothing
    machine.tool("firewall-cmd", "#!/bin/sh\necho 'cannot import dbus' >&2\nexit 1\n")
    with pytest.raises(OSError, match="cannot import dbus"):
        machine_look.firewalld()


def test_ufw_is_told_with_its_rules_in_the_language_that_is_read(machine: Machine) -> None:
    assert machine_look.ufw() == {"status": [], "added": []}
    machine.tool("ufw", UFW)
    assert machine_look.ufw() == {
        "status": ["Status: active", "Logging: on (low)"],
        "added": ["Added user rules:", "ufw allow 22/tcp"],
    }


def test_nobody_is_asked_for_addresses_on_a_segment_that_the_machine_is_not_on(
    machine: Machine,
) -> None:
    nothing = {"asked": 0, "found": []}
    assert machine_look.taken("192.0.2.5", ["192.0.2.200"]) == nothing
    assert machine_look.taken("", []) == nothing

"""node_reset on a directory as a node, with tools that only write down what they were told."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import node_config, node_reset, shared
from tests.support.on_node import result_of

TOOL = """#!/bin/sh
echo "${{0##*/}} $*" >>{log}
{body}
"""

ENDPOINT = "https://192.0.2.11:6443"
OWN = "192.0.2.21"

TABLES = "'ip slipway' 'ip6 kube-proxy' 'inet kube-network-policies' 'ip own'"

NFT = f"[ \"$1\" = list ] && printf 'table %s\\n' {TABLES} || true"

QUESTIONS = ("nft list", "ip link show", "systemctl show")

SIGN = shared.SIGN


class Node:
    """A directory with what a node has, and the tools that are called."""

    def __init__(self, root: Path) -> None:
        self.root = root / "root"
        self.tools = root / "tools"
        self._log = root / "log"
        self.root.mkdir()
        self.tools.mkdir()
        self.tool("systemctl")
        self.tool("ip", "[ $1 != link ]")  # so it says that there is no such link

    def tool(self, name: str, body: str = "") -> None:
        """Let the node have a tool."""
        self._script(self.tools / name, body)

    def has(self, *paths: str) -> None:
        """Let the node have files."""
        for path in paths:
            target = self.root / path.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("x")

    def puts(self, *paths: str, text: str = "new", **args: Any) -> None:
        """Have a role of some name put files there."""
        content = {"content": text, "size": len(text), "mode": "0644"}
        content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        files = [{"path": path, **content} for path in paths]
        assert "failed" not in result_of(node_config, {"files": files, "role": "any", **args})

    def has_kubeadm(self, body: str = "") -> None:
        """Let the node be a member of a cluster."""
        self.puts(node_reset.KUBEADM)
        self.has("/etc/kubernetes/kubelet.conf")
        self.kubeadm(body)

    def kubeadm(self, body: str = "") -> None:
        """Let its kubeadm run."""
        self._script(self.root / node_reset.KUBEADM[1:], body)

    def files(self) -> list[str]:
        """What the node still has."""
        found = (path for path in self.root.rglob("*") if not path.is_dir())
        return sorted(f"/{path.relative_to(self.root)}" for path in found)

    def told(self) -> list[str]:
        """What tools were told to do, without questions."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line for line in lines if not line.startswith(QUESTIONS)]

    def forget(self) -> None:
        """Forget what tools were told."""
        self._log.unlink(missing_ok=True)

    def run(self, *, check: bool = False) -> dict[str, Any]:
        """Run the module."""
        return result_of(node_reset, {"endpoint": ENDPOINT, "control_planes": [OWN]}, check=check)

    def _script(self, path: Path, body: str) -> None:
        path.write_text(TOOL.format(log=self._log, body=body))
        path.chmod(0o755)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    made = Node(tmp_path)
    monkeypatch.setattr(shared, "ROOT", made.root)
    monkeypatch.setattr(shared, "PATH", str(made.tools))
    monkeypatch.setattr(node_reset, "WITH_NFT", str(made.tools))
    return made


def test_a_machine_without_anything_of_slipway_s_is_left_alone(node: Node) -> None:
    node.has(node_reset.KUBEADM, "/etc/kubernetes/kubelet.conf")  # as others install it, too
    node.has("/etc/hosts", "/var/lib/etcd/member", "/var/lib/kubelet/own")
    before = node.files()
    result = node.run()
    assert (result["changed"], result["removed"]) == (False, [])
    assert node.told() == []
    assert node.files() == before


@pytest.mark.parametrize("name", ["admin", "kubelet"])
def test_a_node_of_another_cluster_is_left_alone(node: Node, name: str) -> None:
    node.has_kubeadm()
    path = node.root / f"etc/kubernetes/{name}.conf"
    path.write_text("clusters:\n- cluster:\n    server: https://10.0.0.1:6443\n")
    before = node.files()
    assert "a node of the cluster at https://10.0.0.1:6443" in node.run()["msg"]
    assert (node.told(), node.files()) == ([], before)
    path.write_text(path.read_text().replace("https://10.0.0.1:6443", ENDPOINT))
    assert node.run()["changed"]


def test_a_node_that_speaks_to_any_control_plane_is_none_of_another_cluster(
    node: Node,
) -> None:
    node.has_kubeadm()
    path = node.root / "etc/kubernetes/kubelet.conf"
    path.write_text(f"clusters:\n- cluster:\n    server: https://{OWN}:6443\n")
    assert node.run()["changed"]


def test_whatever_a_role_puts_there_goes_without_being_named_anywhere_else(node: Node) -> None:
    unit = "/etc/systemd/system/any.service"
    node.puts("/srv/any/deep/file", unit, units=["any.service"], undo=["ip rule flush"])
    node.forget()
    result = node.run()
    assert result["removed"] == ["ip rule flush", "any.service", unit, "/srv/any/deep/file"]
    assert list(node.root.iterdir()) == [node.root / "var"]
    assert node.told() == [
        "ip rule flush",
        "systemctl disable --now any.service",
        "systemctl daemon-reload",
    ]


def test_what_a_later_version_puts_there_no_more_goes_as_well(node: Node) -> None:
    node.puts("/etc/old.conf", "/etc/both.conf")
    node.puts("/etc/both.conf", "/etc/new.conf", text="newer")
    assert node.run()["removed"] == ["/etc/new.conf", "/etc/both.conf", "/etc/old.conf"]
    assert node.files() == []


def test_what_was_remembered_of_files_goes_with_them(node: Node) -> None:
    node.puts("/etc/any.conf")
    node.has(node_config.SUMS)
    node.run()
    assert node.files() == []


def test_what_was_there_before_comes_back(node: Node) -> None:
    node.has("/etc/own.conf", "/etc/other.conf", "/etc/gone.conf")
    (node.root / "etc/own.conf").chmod(0o600)
    (node.root / "etc/link.conf").symlink_to("other.conf")
    for text in ("new", "newer"):
        node.puts("/etc/own.conf", "/etc/link.conf", text=text, absent=["/etc/gone.conf"])
    result = node.run()
    assert sorted(result["restored"]) == ["/etc/gone.conf", "/etc/link.conf", "/etc/own.conf"]
    assert (node.root / "etc/own.conf").read_text() == "x"
    assert stat.S_IMODE((node.root / "etc/own.conf").stat().st_mode) == 0o600
    assert (node.root / "etc/link.conf").readlink() == Path("other.conf")
    assert node.files() == [f"/etc/{name}.conf" for name in ("gone", "link", "other", "own")]


def test_what_came_back_stays_when_an_interrupted_run_is_done_again(node: Node) -> None:
    node.has("/etc/own.conf")
    node.puts("/etc/own.conf")
    (node.root / shared.FORMER[1:] / "etc/own.conf").rename(node.root / "etc/own.conf")
    assert node.run()["changed"]
    assert node.files() == ["/etc/own.conf"]


def test_a_file_that_was_there_as_it_is_wanted_stays(node: Node) -> None:
    node.has("/etc/own.conf")
    node.puts("/etc/own.conf", text="x")
    node.puts("/etc/new.conf")
    assert node.run()["removed"] == ["/etc/new.conf"]
    assert node.files() == ["/etc/own.conf"]


def test_what_the_cluster_s_programs_made_goes_and_nothing_else(node: Node) -> None:
    node.has_kubeadm()
    node.tool("nft", NFT)
    node.tool("ip")
    node.puts("/opt/cni/bin/bridge")
    node.has("/etc/systemd/system/own.service", "/opt/cni/bin/own", "/etc/kubernetes/own")
    node.has("/var/lib/containerd/io/blob", "/etc/kubernetes/pki/ca.crt")
    node.has("/var/lib/slipway-volumes/pvc-1_shop-main_shop-data/a", "/var/lib/own/a")
    for path in ("etc/cni/net.d", "opt/containerd/bin", "usr/libexec/kubernetes"):
        (node.root / path).mkdir(parents=True)
    node.has("/opt/containerd/lib/own.so")
    node.forget()
    assert node.run()["removed"] == [
        "/opt/cni/bin/bridge",
        node_reset.KUBEADM,
        "/etc/kubernetes/kubelet.conf",
        "/etc/kubernetes/pki",
        "/var/lib/containerd",
        "table ip6 kube-proxy",
        "table inet kube-network-policies",
        "/var/lib/slipway-volumes",
        "link cni0",
    ]
    assert node.files() == [
        "/etc/kubernetes/own",
        "/etc/systemd/system/own.service",
        "/opt/cni/bin/own",
        "/opt/containerd/lib/own.so",
        "/var/lib/own/a",
    ]
    assert not (node.root / "etc/cni").exists()
    assert not (node.root / "usr/libexec/kubernetes").exists()
    assert not (node.root / "opt/containerd/bin").exists()
    assert node.told() == [
        "kubeadm reset --force",
        "nft delete table ip6 kube-proxy",
        "nft delete table inet kube-network-policies",
        "ip link delete cni0",
        "systemctl daemon-reload",
    ]


def test_a_machine_of_a_version_without_a_record_is_cleaned_as_well(node: Node) -> None:
    node.tool("nft", NFT)
    node.has(*(name for kind, name in node_reset.EARLIER if kind == "file"))
    node.has("/var/lib/kubelet/config.yaml", "/opt/cni/bin/own")
    node.kubeadm()
    assert node.run()["changed"]
    assert node.files() == ["/opt/cni/bin/own"]
    assert node.told() == [
        "kubeadm reset --force",
        "nft add table ip slipway; delete table ip slipway",
        "ip route flush proto 217",
        *(f"systemctl disable --now {name}.service" for name in ("pod-routes", "kubelet")),
        "systemctl disable --now containerd.service",
        "nft delete table ip6 kube-proxy",
        "nft delete table inet kube-network-policies",
        "systemctl daemon-reload",
    ]
    assert not node.run()["changed"]


def test_files_of_that_version_do_not_come_back(node: Node) -> None:
    node.has(SIGN, "/usr/local/bin/runc", "/usr/local/bin/ctr", "/etc/own.conf")
    node.puts("/usr/local/bin/runc", "/etc/own.conf")
    assert node.run()["restored"] == ["/etc/own.conf"]
    assert node.files() == ["/etc/own.conf"]


def test_a_second_run_finds_nothing(node: Node) -> None:
    node.has_kubeadm()
    assert node.run()["changed"]
    assert not node.run()["changed"]


def test_units_are_stopped_before_what_they_need(node: Node) -> None:
    names = ["containerd.service", "kubelet.service"]
    for name in names:
        node.puts(f"/etc/systemd/system/{name}", units=[name])
    node.run()
    stopped = [line.split()[-1] for line in node.told() if "--now" in line]
    assert stopped == names[::-1]


def test_a_check_lists_and_removes_nothing(node: Node) -> None:
    node.has("/etc/own.conf")
    node.has_kubeadm()
    node.puts("/etc/own.conf")
    before = node.files()
    result = node.run(check=True)
    assert result["changed"]
    assert result["removed"] == [node_reset.KUBEADM, "/etc/kubernetes/kubelet.conf"]
    assert result["restored"] == ["/etc/own.conf"]
    assert node.files() == before
    assert node.told() == []


def test_a_machine_that_was_never_in_a_cluster_is_not_asked_to_leave(node: Node) -> None:
    node.has_kubeadm()
    (node.root / "etc/kubernetes/kubelet.conf").unlink()
    (node.root / "etc/kubernetes").rmdir()
    node.run()
    assert "kubeadm reset --force" not in node.told()
    assert node.files() == []


def test_a_machine_that_cannot_leave_keeps_everything(node: Node) -> None:
    node.has_kubeadm("echo 'cannot unmount' >&2; exit 1")
    node.puts("/etc/systemd/system/kubelet.service", units=["kubelet.service"])
    before = node.files()
    result = node.run()
    assert result["failed"]
    assert result["msg"] == "kubeadm could not leave the cluster: cannot unmount\n"
    assert node.files() == before


def test_what_cannot_be_undone_is_told_and_tried_again(node: Node) -> None:
    node.tool("nft", "echo 'no right' >&2; exit 1")
    node.puts("/etc/new.conf", undo=["nft flush ruleset", "tc-that-is-not-there remove"])
    before = node.files()
    assert node.run()["msg"] == "nft flush ruleset: no right\n"
    assert node.files() == before
    node.tool("nft")
    assert node.run()["changed"]
    assert node.files() == []

"""node_reset on a directory as a node, with tools that only write down what they were told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from plugins.modules import node_reset

TOOL = """#!/bin/sh
echo "${{0##*/}} $*" >>{log}
{body}
"""

ENDPOINT = "https://192.0.2.11:6443"

NFT = "[ $1 = list ] && printf 'table %s\\n' 'ip slipway' 'ip6 kube-proxy' 'ip own'"


class Node:
    """A directory with what a node has, and the tools that are called."""

    def __init__(self, root: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.root = root / "root"
        self.tools = root / "tools"
        self._log = root / "log"
        self._capture = capture
        self.tools.mkdir()
        self.tool("systemctl")
        self.tool("ip", "exit 1")  # so it says that there is no such link
        self.has(node_reset.FIRST)

    def tool(self, name: str, body: str = "") -> None:
        """Let the node have a tool."""
        self._script(self.tools / name, body)

    def has(self, *paths: str) -> None:
        """Let the node have files."""
        for path in paths:
            target = self.root / path.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("x")

    def has_kubeadm(self, body: str = "") -> None:
        """Let the node be a member of a cluster."""
        self.has("/etc/kubernetes/kubelet.conf", "/usr/local/bin/kubeadm")
        self._script(self.root / "usr/local/bin/kubeadm", body)

    def files(self) -> list[str]:
        """What the node still has."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(f"/{path.relative_to(self.root)}" for path in found)

    def told(self) -> list[str]:
        """What tools were told to do, without questions."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line for line in lines if line not in ("nft list tables", "ip link show cni0")]

    def run(self, *, check: bool = False) -> dict[str, Any]:
        """Run the module."""
        wanted = {"endpoint": ENDPOINT, "_ansible_check_mode": check}
        with patch_module_args(wanted), pytest.raises(SystemExit):
            node_reset.main()
        result: dict[str, Any] = json.loads(self._capture.readouterr().out)
        return result

    def _script(self, path: Path, body: str) -> None:
        path.write_text(TOOL.format(log=self._log, body=body))
        path.chmod(0o755)


@pytest.fixture
def node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Node:
    made = Node(tmp_path, capsys)
    monkeypatch.setattr(node_reset, "ROOT", made.root)
    monkeypatch.setenv("PATH", str(made.tools))
    return made


def test_a_machine_without_anything_of_slipway_s_is_left_alone(node: Node) -> None:
    (node.root / node_reset.FIRST[1:]).unlink()
    node.has_kubeadm()  # as others install it, too
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


def test_what_slipway_put_there_goes_and_nothing_else(node: Node) -> None:
    node.has_kubeadm()
    node.tool("nft", NFT)
    node.tool("ip")
    node.has("/etc/systemd/system/kubelet.service", "/etc/systemd/system/own.service")
    node.has("/var/lib/containerd/io/blob", "/opt/cni/bin/bridge", "/opt/cni/bin/own")
    result = node.run()
    assert result["changed"]
    assert result["removed"] == [
        "/etc/systemd/system/kubelet.service",
        "/etc/kubernetes",
        "/opt/cni/bin/bridge",
        "/usr/local/bin/kubeadm",
        "/var/lib/containerd",
        node_reset.FIRST,
        "table ip slipway",
        "table ip6 kube-proxy",
        "link cni0",
    ]
    assert node.files() == ["/etc/systemd/system/own.service", "/opt/cni/bin/own"]
    assert node.told() == [
        "kubeadm reset --force",
        "systemctl disable --now kubelet.service",
        "ip route flush proto 217",
        "nft delete table ip slipway",
        "nft delete table ip6 kube-proxy",
        "ip link delete cni0",
        "systemctl daemon-reload",
    ]


def test_a_second_run_finds_nothing(node: Node) -> None:
    node.has_kubeadm()
    node.has("/etc/systemd/system/containerd.service")
    assert node.run()["changed"]
    assert not node.run()["changed"]


def test_units_are_stopped_before_what_they_need(node: Node) -> None:
    node.has(*(f"/etc/systemd/system/{unit}" for unit in sorted(node_reset.UNITS)))
    node.run()
    stopped = [line.split()[-1] for line in node.told() if "--now" in line]
    assert stopped == ["kubelet.service", "pod-routes.service", "containerd.service"]


def test_a_check_lists_and_removes_nothing(node: Node) -> None:
    node.has_kubeadm()
    before = node.files()
    result = node.run(check=True)
    assert result["changed"]
    assert result["removed"] == ["/etc/kubernetes", "/usr/local/bin/kubeadm", node_reset.FIRST]
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
    node.has("/etc/systemd/system/kubelet.service")
    before = node.files()
    result = node.run()
    assert result["failed"]
    assert result["msg"] == "kubeadm could not leave the cluster: cannot unmount\n"
    assert node.files() == before

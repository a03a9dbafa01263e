"""kubelet_server on a directory as a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import kubelet_server, shared
from tests.support.on_node import result_of

FORMER, NOW = "https://192.0.2.11:6443", "https://192.0.2.10:8443"
TEXT = "clusters:\n- cluster:\n    certificate-authority-data: x\n    server: {}\n  name: default\n"


class Node:
    """A kubelet's kubeconfig, and a systemctl that notes what it is told."""

    def __init__(self, root: Path, *, code: int = 0) -> None:
        self.path, self._log = root / "etc/kubernetes/kubelet.conf", root / "log"
        self.path.parent.mkdir(parents=True)
        self.path.write_text(TEXT.format(FORMER))
        self.tool = root / "systemctl"
        self.restarts_with(code)

    def restarts_with(self, code: int) -> None:
        """Let a restart end so."""
        self.tool.write_text(f'#!/bin/sh\necho "$*" >>{self._log}\nexit {code}\n')
        self.tool.chmod(0o755)

    def told(self) -> list[str]:
        """What systemctl was told."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def run(self, *, check: bool = False) -> dict[str, Any]:
        """Run the module."""
        return result_of(kubelet_server, {"server": NOW}, check=check)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(shared, "ROOT", tmp_path)
    monkeypatch.setattr(shared, "PATH", f"{tmp_path}:/usr/bin:/bin")
    return Node(tmp_path)


def test_a_kubelet_is_started_anew_with_another_server_once(node: Node) -> None:
    assert node.run()["changed"]
    assert node.path.read_text() == TEXT.format(NOW)
    assert node.path.stat().st_mode & 0o777 == 0o600
    assert not node.run()["changed"]
    assert node.told() == ["restart kubelet.service"]


def test_a_check_tells_and_changes_nothing(node: Node) -> None:
    assert node.run(check=True)["changed"]
    assert (node.path.read_text(), node.told()) == (TEXT.format(FORMER), [])


def test_a_kubelet_that_does_not_start_is_told_and_tried_again(node: Node) -> None:
    node.restarts_with(1)
    assert "does not start anew" in node.run()["msg"]
    node.restarts_with(0)
    assert node.run()["changed"]

"""Certificates of kubelets, as a task asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action import kubelet_certificates
from slipway.kube.kubelets import SIGNER
from tests.support.app_cluster import FakeApi
from tests.support.fake_ansible import action

NODES = {"worker": "192.0.2.12"}


def certificates(kubeconfig: Path, *, check: bool = False) -> dict[str, Any]:
    """Run kubelet_certificates."""
    args = {"kubeconfig": str(kubeconfig), "nodes": NODES, "timeout": 0}
    result: dict[str, Any] = action(kubelet_certificates.ActionModule, args, check=check).run()
    return result


def stranger() -> dict[str, Any]:
    """A request of somebody who is no node."""
    spec = {"signerName": SIGNER, "username": "system:node:stranger", "usages": [], "request": ""}
    return {"metadata": {"name": "csr-1"}, "spec": spec, "status": {}}


def test_a_request_that_is_left_alone_is_told_and_changes_nothing(
    api: FakeApi, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.put("nodes", {"metadata": {"name": "worker"}})
    api.put("certificatesigningrequests", stranger())
    result = certificates(kubeconfig)
    assert (result["changed"], result["approved"]) == (False, [])
    assert "csr-1: system:node:stranger is no node of the inventory" in capsys.readouterr().out
    assert api.writes == []


def test_a_kubelet_that_is_not_reached_fails_the_task(api: FakeApi, kubeconfig: Path) -> None:
    result = certificates(kubeconfig)
    assert result["failed"]
    assert "kubelet of worker: the API server cannot reach it" in result["msg"]


def test_a_check_needs_no_cluster(tmp_path: Path) -> None:
    assert certificates(tmp_path / "none", check=True)["changed"] is False
    assert certificates(tmp_path / "none")["failed"]

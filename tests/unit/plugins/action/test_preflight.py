"""What is looked at before anything is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.action import preflight
from tests.support.fake_ansible import action

SOUND = {
    "nodes": {"control": "192.0.2.1"},
    "control_plane": ["control"],
    "pool": ["192.0.2.200-192.0.2.220"],
    "pod_subnet": "10.244.0.0/16",
    "service_subnet": "10.96.0.0/16",
}


def test_a_sound_inventory_and_file_pass(tmp_path: Path) -> None:
    path = tmp_path / "apps.yml"
    path.write_text("version: 1\napps:\n  - {name: a, git_url: /a.git}\n")
    result = action(preflight.ActionModule, {**SOUND, "apps_file": str(path)}).run()
    assert result["changed"] is False
    assert "failed" not in result


def test_mistakes_of_inventory_and_file_are_told_together(tmp_path: Path) -> None:
    args = {**SOUND, "pool": [], "apps_file": str(tmp_path / "apps.yml")}
    result = action(preflight.ActionModule, args).run()
    assert result["failed"]
    first, second = (line for line in result["msg"].splitlines() if "fix:" not in line)
    assert first == "inventory metallb_pool: has no address"
    assert second == f"{tmp_path}/apps.yml: cannot be read: No such file or directory"


def test_groups_and_the_cluster_s_version_are_told_with_everything_else(
    monkeypatch: pytest.MonkeyPatch, kubeconfig: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("slipway.kube.client.Kube.version", lambda _kube: "v1.35.4")
    monkeypatch.setattr("slipway.kube.nodes.nodes_of", lambda _kube: {})
    args = {
        **SOUND,
        "nodes": {"control": "192.0.2.1", "second": "192.0.2.1"},
        "control_plane": ["control", "second"],
        "workers": ["second"],
        "apps_file": str(tmp_path / "apps.yml"),
        "kubeconfig": str(kubeconfig),
        "version": "1.36.3",
    }
    result = action(preflight.ActionModule, args).run()
    told = [line.partition(": ")[0] for line in result["msg"].splitlines() if "fix:" not in line]
    assert told == [
        "inventory second",
        "inventory control_plane",
        "inventory second.node_address",
        "slipway_versions.kubernetes",
        f"{tmp_path}/apps.yml",
    ]

"""What is said of an API server that cannot be reached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway.on_node import api_server_report, shared

ENDPOINT = "https://192.0.2.11:6443"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as a node; its kubelet does not run."""
    for name, text in (("systemctl", "echo failed"), ("journalctl", "echo no such file")):
        tool = tmp_path / "tools" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{text}\n")
        tool.chmod(0o755)
    monkeypatch.setattr(shared, "PATH", f"{tmp_path}/tools:/usr/bin:/bin")
    monkeypatch.setattr(shared, "ROOT", tmp_path)
    monkeypatch.setattr(api_server_report, "LOCAL", "https://127.0.0.1:1/livez")
    return tmp_path


def log(node: Path, component: str, name: str, text: str, age: int) -> None:
    """Let a static pod have written a log."""
    path = node / f"var/log/pods/kube-system_{component}-lab_1/{component}/{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1_000_000 - age, 1_000_000 - age))


def test_what_does_not_run_is_told_with_its_last_lines(node: Path) -> None:
    log(node, "kube-apiserver", "0.log", "long ago\n", 10)
    log(node, "kube-apiserver", "1.log", "".join(f"line {n}\n" for n in range(12)), 0)
    lines = api_server_report.report(ENDPOINT).splitlines()
    assert lines == [
        "It does not answer on the node itself either.",
        "kubelet.service is failed",
        "the last lines of the kubelet:",
        "no such file",
        "the last lines of kube-apiserver:",
        *(f"line {n}" for n in range(2, 12)),
        "etcd has no log: it never ran",
    ]


def test_a_tool_that_does_not_answer_is_told(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (node / "tools/systemctl").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(api_server_report, "TOOL_SECONDS", 0.2)
    assert "kubelet.service is systemctl took longer than 0 s" in api_server_report.report(ENDPOINT)


def test_of_one_that_answers_there_the_way_to_it_is_in_question(
    node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server_report, "answers", lambda url: url.startswith("https://127."))
    text = api_server_report.report(ENDPOINT)
    for reason in (ENDPOINT, "firewall", "certificates"):
        assert reason in text
    assert "kubelet" not in text

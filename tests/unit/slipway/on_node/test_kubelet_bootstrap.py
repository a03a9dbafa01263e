"""A kubelet that nobody knows any more asks anew, with what does not stay on the node."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import kubelet_bootstrap, shared
from slipway.on_node.kubelet_bootstrap import BOOTSTRAP
from tests.support.node_certificates import CURRENT, certificate, kubelet
from tests.support.on_node import result_of

SYSTEMCTL = """#!/bin/sh
[ "$(stat -c %a {bootstrap})" = 600 ] && grep -q secret {bootstrap} && cp {new} {current}
"""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker whose kubelet's certificate has ended, and which is given another when it asks."""
    root, tools = tmp_path / "root", tmp_path / "tools"
    (root / "etc/kubernetes").mkdir(parents=True)
    tools.mkdir()
    kubelet(root, timedelta(days=-3))
    new = tmp_path / "new"
    new.write_text(certificate(timedelta(days=365)))
    paths = {"bootstrap": root / BOOTSTRAP.lstrip("/"), "new": new, "current": root / CURRENT}
    for name, text in (("systemctl", SYSTEMCTL.format(**paths)), ("journalctl", "#!/bin/sh\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setattr(shared, "ROOT", root)
    monkeypatch.setattr(shared, "PATH", f"{tools}:{shared.PATH}")
    return root


def run(kubeconfig: str = "secret", *, check: bool = False) -> dict[str, Any]:
    given = {"kubeconfig": kubeconfig, "timeout": 0.1}
    return result_of(kubelet_bootstrap, given, check=check)


def left(root: Path) -> bool:
    """Whether what it asked with is on the node."""
    return (root / BOOTSTRAP.lstrip("/")).exists()


def test_it_has_another_certificate_and_nothing_else_is_left(node: Path) -> None:
    assert run(check=True)["changed"]
    assert run()["changed"]
    assert not left(node)
    assert not run()["changed"]


def test_one_that_gets_none_is_told_with_its_last_words(node: Path) -> None:
    failed = run("of another cluster")
    assert "has ended, and after 0 s there is no other" in failed["msg"]
    assert not left(node)

"""What tests of downloads share: an environment of nobody, and a clock that nobody waits for."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from slipway.bundle import download


@pytest.fixture
def as_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment in which nobody asks by a proxy or as somebody."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited between two tries, none of which pass."""
    found: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=found.append)
    monkeypatch.setattr(download, "time", clock)
    return found

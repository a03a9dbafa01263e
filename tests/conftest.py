"""A fake Kubernetes API for each test, and a client of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from slipway.kube.client import Kube
from tests.support.app_cluster import FakeApi, Handler


@pytest.fixture
def api() -> FakeApi:
    """The fake API's state."""
    return FakeApi()


@pytest.fixture
def server(api: FakeApi) -> Iterator[str]:
    """The fake API, served; gives its URL."""
    handler = type("ApiHandler", (Handler,), {"api": api})
    served = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    served.daemon_threads = True
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


@pytest.fixture
def kubeconfig(server: str, tmp_path: Path) -> Path:
    """A kubeconfig for the fake API, with a client certificate as kubeadm's has."""
    user = {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
    path = tmp_path / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "current-context": "fake",
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "admin"}}],
                "clusters": [{"name": "fake", "cluster": {"server": server}}],
                "users": [{"name": "admin", "user": user}],
            }
        )
    )
    return path


@pytest.fixture
def kube(kubeconfig: Path) -> Iterator[Kube]:
    """A client of the fake API."""
    with Kube(kubeconfig) as client:
        yield client

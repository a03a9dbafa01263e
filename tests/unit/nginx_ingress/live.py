"""The controller as a process with its nginx, an API server and backends, all on this machine."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.unit.nginx_ingress.fake_api import FakeApi, served
from tests.unit.nginx_ingress.objects import ingress_class, service

PACKAGE = Path(__file__).parents[3] / "images" / "nginx_ingress"
PATIENCE_SECONDS = 15.0
ADDRESS = "192.0.2.10"


def eventually(what: str, holds: Callable[[], bool]) -> None:
    """Wait until it holds; fail with ``what`` if it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:.0f} s: {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    body: str


class Backend(ThreadingHTTPServer):
    """Answers every request with its name, the path it saw and some headers it was sent.

    A request for ``/slow`` is answered when ``release`` is set; ``arrived`` says that it is there.
    """

    daemon_threads = True

    def __init__(self, name: str) -> None:
        self.arrived = threading.Event()
        self.release = threading.Event()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/slow":
                    backend.arrived.set()
                    backend.release.wait(PATIENCE_SECONDS)
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = f"{name} {self.path}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                for header, value in self.headers.items():
                    self.send_header(f"Seen-{header}", value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def port(self) -> int:
        return self.server_port


@contextmanager
def backend(name: str) -> Iterator[Backend]:
    """A backend that serves."""
    server = Backend(name)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Live:
    """A running controller."""

    api: FakeApi
    process: subprocess.Popen[bytes]
    folder: Path
    http_port: int
    https_port: int
    health_port: int

    def get(
        self,
        path: str,
        host: str = "cafe.example.com",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Ask over HTTP, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        return ask(connection, path, host, headers, body)

    def get_tls(self, path: str, host: str, trusted: bytes) -> Answer:
        """Ask over HTTPS, trusting this certificate alone."""
        context = ssl.create_default_context(cadata=trusted.decode())
        plain = socket.create_connection(("127.0.0.1", self.https_port), timeout=10)
        connection = http.client.HTTPConnection("127.0.0.1", self.https_port, timeout=10)
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        return ask(connection, path, host)

    def health(self, path: str) -> int:
        """The status of a health check; 0 while nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.health_port, timeout=10)
        try:
            return ask(connection, path, "localhost").status
        except ConnectionError:
            return 0

    def config(self) -> str:
        """The configuration that nginx has."""
        return (self.folder / "run" / "nginx.conf").read_text()

    def log(self) -> str:
        """What the process has written."""
        return (self.folder / "log").read_text()


def ask(
    connection: http.client.HTTPConnection,
    path: str,
    host: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One request; the connection is closed after it."""
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {"Host": host, **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read().decode())
    finally:
        connection.close()


def ask_plainly(port: int, host: str) -> Answer:
    """One request for ``/`` over HTTP."""
    return ask(http.client.HTTPConnection("127.0.0.1", port, timeout=10), "/", host)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def controller(folder: Path) -> Iterator[Live]:
    """A controller that is ready, with its class and its own Service in the cluster."""
    api = FakeApi()
    api.put(ingress_class())
    api.put(service("lb", "nginx-ingress", ip=ADDRESS))
    http_port, https_port, health_port = free_ports(3)
    with served(api, folder) as kubeconfig, (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "nginx_ingress", "--kubeconfig", str(kubeconfig)),
                *("--class", "nginx", "--external-service", "nginx-ingress/lb"),
                *("--run-dir", str(folder / "run"), "--worker-processes", "2"),
                *("--http-port", str(http_port), "--https-port", str(https_port)),
                *("--health-port", str(health_port), "--grace-seconds", "10"),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(PACKAGE)},
            # Like a container: what it starts can be ended with it.
            start_new_session=True,
        )
        live = Live(api, process, folder, http_port, https_port, health_port)
        try:
            eventually(f"ready; {folder / 'log'}", lambda: live.health("/readyz") == 200)
            yield live
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE_SECONDS)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

"""The controller as a process with its nginx, an API server and backends, all on this machine."""

from __future__ import annotations

import base64
import hashlib
import http.client
import itertools
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import websocket

from ingress.tests.support.fake_api import FakeApi, served
from ingress.tests.support.objects import ingress_class, service

PACKAGE = Path(__file__).parents[2] / "src"
PATIENCE_SECONDS = 15.0
ADDRESS = "192.0.2.10"
WORKERS = 2
MUCH = bytes(2**24)

UNWELCOME = "unwelcome-to-nginx"
"""What no configuration may have in it: stands for whatever this controller does not foresee."""
UNWELCOME_WORDS = f"nothing here is {UNWELCOME}"
NGINX = f"""\
#!/bin/sh
for last; do :; done
case $* in *" -t "*)
    if grep -q 'location "/{UNWELCOME}"' "$last"; then
        echo 'nginx: [emerg] {UNWELCOME_WORDS} in '"$last:1" >&2
        exit 1
    fi
esac
exec /usr/sbin/nginx -g 'user root;' "$@"
"""
"""As in a pod, workers are the same user as their master, and may write where it does."""

Body = bytes | Iterable[bytes]
"""What is sent with a request; in parts, if its ``Content-Length`` is given."""


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
    One for ``/halves`` is answered at once, but for the second half, which waits for ``release``.
    So are the two events of ``/events``, which ``/events?yes`` wants buffered. ``/head?9`` has a
    cookie of so many bytes, and ``/to?/login`` is a redirect to there; ``/much`` has many bytes. An
    upgrade of ``/echo`` becomes a WebSocket that sends back what it is sent.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str) -> None:
        self.arrived = threading.Event()
        self.release = threading.Event()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/echo" and "Upgrade" in self.headers:
                    self.echo()
                    return
                where, _, what = self.path.partition("?")
                if where == "/events":
                    self.events(what)
                    return
                if where in ("/head", "/to"):
                    self.headed(what)
                    return
                if where == "/much":
                    self.much()
                    return
                if self.path == "/slow":
                    backend.arrived.set()
                    backend.release.wait(PATIENCE_SECONDS)
                seen = self.digest()
                body = f"{name} {self.path}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Seen-Digest", seen)
                for header, value in self.headers.items():
                    self.send_header(f"Seen-{header}", value)
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                if self.path == "/halves":
                    backend.release.wait(PATIENCE_SECONDS)
                self.wfile.write(body[len(body) // 2 :])

            do_POST = do_GET

            def digest(self) -> str:
                """SHA-256 of the request's body."""
                sum_ = hashlib.sha256()
                left = int(self.headers.get("Content-Length") or 0)
                while left and (part := self.rfile.read(min(left, 2**20))):
                    sum_.update(part)
                    left -= len(part)
                return sum_.hexdigest()

            def events(self, buffering: str) -> None:
                """Server-sent events, as a service of HTTP/1.0 sends them."""
                self.send_response(200)
                if buffering:
                    self.send_header("X-Accel-Buffering", buffering)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"data: 1\n\n")
                backend.release.wait(PATIENCE_SECONDS)
                self.wfile.write(b"data: 2\n\n")

            def much(self) -> None:
                """An answer that no buffer on its way has room for."""
                self.send_response(200)
                self.send_header("Content-Length", str(len(MUCH)))
                self.end_headers()
                with suppress(ConnectionError):
                    self.wfile.write(MUCH)

            def headed(self, what: str) -> None:
                """An answer that is all head: a cookie of a length, or a redirect."""
                is_cookie = what.isdecimal()
                self.send_response(200 if is_cookie else 302)
                name, value = ("Set-Cookie", "x" * int(what)) if is_cookie else ("Location", what)
                self.send_header(name, urllib.parse.unquote(value))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def echo(self) -> None:
                """RFC 6455, as far as messages of less than 126 bytes go."""
                salted = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                accept = base64.b64encode(hashlib.sha1(salted.encode()).digest()).decode()
                self.send_response(101)
                self.send_header("Upgrade", self.headers["Upgrade"])
                self.send_header("Connection", self.headers["Connection"])
                self.send_header("Sec-WebSocket-Accept", accept)
                self.end_headers()
                self.close_connection = True
                while head := self.rfile.read(2):
                    mask, length = self.rfile.read(4), head[1] & 0x7F
                    masked = zip(self.rfile.read(length), itertools.cycle(mask), strict=False)
                    self.wfile.write(bytes((head[0], length, *(a ^ b for a, b in masked))))

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


@contextmanager
def deaf() -> Iterator[int]:
    """The port of a backend that takes connections and never reads from them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def full() -> Iterator[int]:
    """The port of a backend that has no room for a further connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as clients:
        for _ in range(2):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@dataclass(frozen=True)
class Live:
    """A running controller."""

    api: FakeApi
    process: subprocess.Popen[bytes]
    folder: Path
    http_port: int
    https_port: int
    health_port: int

    @property
    def ports(self) -> list[int]:
        return [self.http_port, self.https_port, self.health_port]

    def get(
        self,
        path: str,
        host: str = "cafe.example.com",
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Answer:
        """Ask over HTTP, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        return ask(connection, path, host, headers, body)

    @contextmanager
    def opened(self, path: str, host: str) -> Iterator[http.client.HTTPResponse]:
        """An answer whose head is there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host})
            yield connection.getresponse()
        finally:
            connection.close()

    def get_tls(self, path: str, host: str, trusted: bytes) -> Answer:
        """Ask over HTTPS, trusting this certificate alone."""
        connection = http.client.HTTPConnection("127.0.0.1", self.https_port, timeout=10)
        connection.sock = self.tls(host, trusted)
        return ask(connection, path, host)

    def tls(self, host: str, trusted: bytes) -> ssl.SSLSocket:
        """A connection that names ``host``, trusting this certificate alone."""
        context = ssl.create_default_context(cadata=trusted.decode())
        plain = socket.create_connection(("127.0.0.1", self.https_port), timeout=10)
        try:
            return context.wrap_socket(plain, server_hostname=host)
        except OSError:
            plain.close()
            raise

    def websocket(self, path: str, host: str, trusted: bytes | None = None) -> websocket.WebSocket:
        """An open WebSocket, over TLS if there is a certificate to trust."""
        opened = (
            self.tls(host, trusted)
            if trusted
            else socket.create_connection(("127.0.0.1", self.http_port), timeout=10)
        )
        return websocket.create_connection(f"ws://{host}{path}", timeout=10, socket=opened)

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

    def version(self) -> int:
        """The version of that configuration."""
        found = re.search(r'return 200 "(\d+)"', self.config())
        assert found
        return int(found[1])

    def workers(self) -> list[Path]:
        """The folders in /proc of nginx's workers, without those that are about to end."""
        nginx = int((self.folder / "run" / "nginx.pid").read_text())
        children = Path(f"/proc/{nginx}/task/{nginx}/children").read_text().split()
        found = []
        for folder in (Path("/proc", child) for child in children):
            with suppress(FileNotFoundError, ProcessLookupError):
                if b"shutting down" not in (folder / "cmdline").read_bytes():
                    found.append(folder)
        return found

    def settled(self) -> bool:
        """Whether every new connection meets the configuration that nginx has."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "run" / "status.sock"))
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        return int(answer.split()[-1]) == self.version() and len(self.workers()) == WORKERS

    def log(self) -> str:
        """What the process has written."""
        return (self.folder / "log").read_text()


def ask(
    connection: http.client.HTTPConnection,
    path: str,
    host: str,
    headers: Mapping[str, str] | None = None,
    body: Body | None = None,
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
    """Ports that nobody listens on, and that no connection is given while they are not in use."""
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in random.sample(range(given // 2, given), given // 2):
        with suppress(OSError), socket.create_server(("", port)):
            found.append(port)
        if len(found) == count:
            break
    return found


@contextmanager
def controller(
    folder: Path, api: FakeApi | None = None, ports: list[int] | None = None
) -> Iterator[Live]:
    """A controller that is ready, with its class and its own Service in the cluster."""
    api = api or FakeApi()
    api.put(ingress_class())
    api.put(service("lb", "nginx-ingress", ip=ADDRESS))
    http_port, https_port, health_port = ports or free_ports(3)
    nginx = folder / "nginx"
    nginx.write_text(NGINX)
    nginx.chmod(0o700)
    with served(api, folder) as kubeconfig, (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "nginx_ingress", "--kubeconfig", str(kubeconfig)),
                *("--class", "nginx", "--external-service", "nginx-ingress/lb"),
                *("--run-dir", str(folder / "run"), "--worker-processes", str(WORKERS)),
                *("--http-port", str(http_port), "--https-port", str(https_port)),
                *("--health-port", str(health_port), "--grace-seconds", "10"),
                *("--nginx", str(nginx)),
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

"""A real server of one file, which does what servers, networks and proxies do at times."""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ingress.tests.support.objects import make_certificate
from tests.support.serving import serving


@dataclass(frozen=True)
class Fault:
    """What becomes of a request: another answer, an end after some bytes, or one that is ``late``.

    Of an end, all else comes after ``pause`` seconds.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    pause: float = 0.0
    late: float = 0.0


@dataclass
class Served:
    """The file, how it is served, and who asked for it: a path and headers for each request.

    ``tag`` and ``modified`` tell it from others, ``ranges`` and ``length`` say whether parts are
    given, and the length is told; a part has ``most`` bytes. ``faults`` are of the next requests.
    """

    content: bytes
    tag: str = '"one"'
    modified: str = ""
    ranges: bool = True
    length: bool = True
    most: int = 1 << 40
    login: str = ""
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.scheme}://localhost:{self.port}/bundle.tar.zst"

    @property
    def begun_at(self) -> list[str]:
        """From where on each request wanted it."""
        return [headers.get("Range", "") for _path, headers in self.asked]


class Server(ThreadingHTTPServer):
    """A server that answers each request in a thread of its own."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go."""


@contextmanager
def served(content: bytes, scratch: Path | None = None, days: int = 2) -> Iterator[Served]:
    """Serve a file; over HTTPS with ``scratch``, which gets the certificate as ``server.crt``.

    That is valid for so many ``days`` more.
    """
    file = Served(content)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            file.asked.append((self.path, dict(self.headers.items())))
            fault = file.faults.pop(0) if file.faults else Fault()
            time.sleep(fault.late)
            wanted = f"Basic {base64.b64encode(file.login.encode()).decode()}"
            if file.login and self.headers.get("Authorization") != wanted:
                fault = Fault(401, {"WWW-Authenticate": "Basic"})
            if fault.status:
                self.head(fault.status, {**fault.headers, "Content-Length": "0"})
                return
            self.send(fault)

        def send(self, fault: Fault) -> None:
            total, first = len(file.content), self.first()
            headers = {"ETag": file.tag, "Last-Modified": file.modified}
            if first >= total:
                self.head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
                return
            body = file.content[first:]
            if first:
                body = body[: file.most]
                headers["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{total}"
            if file.length:
                headers["Content-Length"] = str(len(body))
            self.head(206 if first else 200, headers)
            self.wfile.write(body[: fault.cut])
            if fault.cut is not None:
                self.wfile.flush()
                time.sleep(fault.pause)
                if fault.pause:
                    self.wfile.write(body[fault.cut :])

        def first(self) -> int:
            wanted, of = self.headers.get("Range"), self.headers.get("If-Range")
            if not wanted or not file.ranges or of not in (None, file.tag, file.modified):
                return 0
            return int(wanted.removeprefix("bytes=").removesuffix("-"))

        def head(self, status: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        file.port = server.server_port
        if scratch:
            file.scheme = "https"
            server.socket = tls(scratch, days).wrap_socket(server.socket, server_side=True)
        with serving(server):
            yield file


def tls(scratch: Path, days: int, host: str = "localhost") -> ssl.SSLContext:
    """What a server on this machine speaks, by a certificate that is written to ``scratch``."""
    certificate, key = make_certificate(host, days=days)
    (scratch / "server.crt").write_bytes(certificate)
    (scratch / "server.key").write_bytes(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(scratch / "server.crt", scratch / "server.key")
    return context


@dataclass
class Proxy:
    """A proxy for plain HTTP, and what it was asked for by whom."""

    port: int = 0
    login: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def proxy(of: Served, login: str = "") -> Iterator[Proxy]:
    """A proxy that gives one file, whatever its host is called."""
    way = Proxy(login=login)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            way.asked.append(urlsplit(self.path).hostname or "")
            wanted = f"Basic {base64.b64encode(way.login.encode()).decode()}"
            if way.login and self.headers.get("Proxy-Authorization") != wanted:
                self.send_response(407)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(of.content)))
            self.end_headers()
            self.wfile.write(of.content)

        def do_CONNECT(self) -> None:
            way.asked.append(self.path)
            self.send_response(407)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        way.port = server.server_port
        with serving(server):
            yield way

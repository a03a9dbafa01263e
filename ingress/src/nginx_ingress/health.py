"""``/livez`` and ``/readyz`` for the kubelet and whoever else asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Check = Callable[[], tuple[bool, str]]
"""Says whether all is well, and the text to answer with."""


def health_server(port: int, checks: Mapping[str, Check]) -> ThreadingHTTPServer:
    """A server that answers each path with 200 or 503 by its check, and 404 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            check = checks.get(self.path)
            well, text = check() if check else (False, "not found")
            body = f"{text}\n".encode()
            self.send_response(200 if well else 503 if check else 404)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes are not worth a line each."""

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    return server

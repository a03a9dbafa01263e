"""What all lessons share: a web server that answers each path with a text."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000


def serve(answer: Callable[[str], str]) -> None:
    """Answer each request with what the function says of its path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{answer(self.path)}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    # Kubernetes asks a container to end with SIGTERM, which Python as process 1 would ignore.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()

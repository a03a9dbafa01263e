"""``/livez`` and ``/readyz`` for the kubelet and whoever else asks."""

from __future__ import annotations

import logging
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

log = logging.getLogger(__name__)

Check = Callable[[], tuple[bool, str]]
"""Says whether all is well, and the text to answer with."""


MOST_CONNECTIONS = 64
"""How many there are at a time; one more takes the place of the oldest."""
_SILENT_SECONDS = 5.0


class HealthServer(ThreadingHTTPServer):
    """A thread for each connection, for so many: whoever holds on to some keeps no probe out."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("", port), handler)
        self._lock = Lock()
        self._open: OrderedDict[socket.socket, None] = OrderedDict()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = None
            if len(self._open) > MOST_CONNECTIONS:
                oldest, _ = self._open.popitem(last=False)
                # Its thread meets the end of what it reads.
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever is gone is not worth a line."""
        if not isinstance(sys.exception(), OSError):
            log.exception("a probe was not answered")

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)


def health_server(port: int, checks: Mapping[str, Check]) -> HealthServer:
    """A server that answers each path with 200 or 503 by its check, and 404 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _SILENT_SECONDS

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

    return HealthServer(port, Handler)

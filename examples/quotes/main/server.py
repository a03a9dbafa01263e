"""A web service that tells a quotation, another one each time it is asked."""

from __future__ import annotations

import itertools
import signal
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8000

TITLE, *QUOTES = Path(__file__).with_name("quotes.txt").read_text(encoding="utf-8").splitlines()
turns = itertools.count()


class Handler(BaseHTTPRequestHandler):
    """Answers / with a quotation and /healthz with ok."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(HTTPStatus.OK, f"{TITLE}: {QUOTES[next(turns) % len(QUOTES)]}\n")
        elif self.path == "/healthz":
            self.answer(HTTPStatus.OK, "ok\n")
        else:
            self.answer(HTTPStatus.NOT_FOUND, f"nothing at {self.path}\n")

    def answer(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    server = ThreadingHTTPServer(("", PORT), Handler)
    # Kubernetes asks a container to end with SIGTERM, which Python as process 1 would ignore.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on {PORT}")
    server.serve_forever()


if __name__ == "__main__":
    main()

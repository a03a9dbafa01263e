"""``python3 -m slipway.dashboard``: serves the page from within the cluster."""

from __future__ import annotations

import json
import os
import signal
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from slipway.apps.environments.rows import Row, as_json, rows
from slipway.apps.manifests.labels import ENVIRONMENTS, OWN_SELECTOR, ROUTES_NAMESPACE, Object
from slipway.dashboard.page import as_page, as_sorry

PORT = 8080

FRESH_SECONDS = 2.0
"""How long an answer of the API serves for all who ask."""

ASK_SECONDS = 5.0

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""What the kubelet gives a pod to reach the API with; the token is renewed now and then."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Api:
    """The API server as pods reach it; ``get`` raises OSError or ValueError."""

    def __init__(self, url: str, account: Path) -> None:
        self._url = url
        self._account = account
        self._trust = ssl.create_default_context(cafile=str(account / "ca.crt"))

    def get(self, path: str) -> Object:
        """The JSON that is at a path."""
        token = (self._account / "token").read_text().strip()
        request = urllib.request.Request(
            f"{self._url}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=ASK_SECONDS, context=self._trust) as answer:
            found: Object = json.load(answer)
        return found


class Dashboard:
    """The rows, asked for anew when they are no longer fresh."""

    def __init__(self, get: Callable[[str], Object]) -> None:
        self._get = get
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._rows: list[Row] = []

    def rows(self) -> list[Row]:
        """The rows; raises OSError or ValueError when the API does not tell."""
        with self._lock:
            if time.monotonic() - self._asked >= FRESH_SECONDS:
                selector = quote(OWN_SELECTOR)
                found = self._get(f"/apis/apps/v1/deployments?labelSelector={selector}")
                self._rows = rows(found["items"], self._notes())
                self._asked = time.monotonic()
            return self._rows

    def _notes(self) -> Object | None:
        """The notes; None before the first run has written any."""
        try:
            return self._get(f"/api/v1/namespaces/{ROUTES_NAMESPACE}/configmaps/{ENVIRONMENTS}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


def server(dashboard: Dashboard, port: int) -> ThreadingHTTPServer:
    """The page at ``/``, the same at ``/environments.json``, and ``/healthz``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = self.path.partition("?")[0]
            if place == "/healthz":
                self._answer(200, "text/plain", "well\n")
            elif place in ("/", "/environments.json"):
                self._tell(as_data=place != "/")
            else:
                self._answer(404, "text/plain", "there is nothing here\n")

        def _tell(self, *, as_data: bool) -> None:
            try:
                found = dashboard.rows()
            except (OSError, ValueError) as error:
                if as_data:
                    self._answer(503, "application/json", json.dumps({"error": str(error)}))
                else:
                    self._answer(503, "text/html", as_sorry(str(error)))
                return
            if as_data:
                self._answer(200, "application/json", as_json(found))
            else:
                self._answer(200, "text/html", as_page(found, datetime.now(UTC)))

        def _answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not worth a line each: the page renews itself."""

    made = ThreadingHTTPServer(("", port), Handler)
    made.daemon_threads = True
    return made


def main() -> None:
    """Serve until the pod is to end."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    address = f"[{host}]" if ":" in host else host
    made = server(Dashboard(Api(f"https://{address}:{port}", ACCOUNT).get), PORT)
    signal.signal(
        signal.SIGTERM, lambda *_: threading.Thread(target=made.shutdown, daemon=True).start()
    )
    made.serve_forever()


if __name__ == "__main__":
    main()

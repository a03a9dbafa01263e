"""The list, the page and its server, over an API that is served by HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError

import yaml

from slipway.apps.manifests.labels import Object
from slipway.dashboard.__main__ import Dashboard, server
from tests.support.checkout import PROJECT
from tests.support.environments import deployment, note, notes


@contextmanager
def served(get: Callable[[str], Object]) -> Iterator[str]:
    """The page's server over an API that ``get`` stands for; its URL."""
    made = server(Dashboard(get), 0)
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    made.server_close()


def fetch(url: str) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def test_the_server_asks_the_api_once_for_all_who_ask_at_the_same_time() -> None:
    asked: list[str] = []

    def get(path: str) -> Object:
        asked.append(path)
        return notes(main=note()) if "configmaps" in path else {"items": [deployment()]}

    with served(get) as url:
        status, text, headers = fetch(f"{url}/")
        assert (status, "ready 2/2" in text) == (200, True)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        status, text, _headers = fetch(f"{url}/environments.json")
        assert [row["state"] for row in json.loads(text)] == ["ready 2/2"]
        assert fetch(f"{url}/healthz")[0] == 200
        assert fetch(f"{url}/elsewhere")[0] == 404
    assert len(asked) == 2
    assert "managed-by%3Dslipway" in asked[0]


def test_an_api_that_does_not_answer_is_told() -> None:
    def get(_path: str) -> Object:
        raise OSError("<no route>")

    with served(get) as url:
        status, text, _headers = fetch(f"{url}/")
        assert (status, "&lt;no route&gt;" in text) == (503, True)
        assert fetch(f"{url}/environments.json")[0] == 503
        assert fetch(f"{url}/healthz")[0] == 200  # the pod itself is well


class ApiHandler(BaseHTTPRequestHandler):
    """An API server without notes, which wants a token."""

    def do_GET(self) -> None:
        """Answer."""
        well = self.headers["Authorization"] == "Bearer let-me-in"
        missing = "configmaps" in self.path
        body = json.dumps({"items": [deployment()]}).encode()
        self.send_response(401 if not well else 404 if missing else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


def test_the_program_needs_nothing_but_python_and_its_modules(tmp_path: Path) -> None:
    """As in the pod: the modules that the role names, and no others."""
    variables = yaml.safe_load((PROJECT / "roles/dashboard/vars/main.yml").read_text())
    for module in variables["__dashboard_modules"]:
        (tmp_path / module).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / module).write_bytes((PROJECT / module).read_bytes())
    api = ThreadingHTTPServer(("127.0.0.1", 0), ApiHandler)
    threading.Thread(target=api.serve_forever, args=(0.02,), daemon=True).start()
    (tmp_path / "token").write_text("let-me-in\n")
    program = f"""
import ssl
from pathlib import Path
from slipway.dashboard.__main__ import Api, Dashboard
ssl.create_default_context = lambda cafile: None
api = Api("http://127.0.0.1:{api.server_address[1]}", Path("."))
print([row.state for row in Dashboard(api.get).rows()])
"""
    python = [sys.executable, "-S", "-E", "-c", program]
    done = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=False)
    api.shutdown()
    api.server_close()
    assert done.stdout.strip() == "['ready 2/2']", done.stderr

"""The list, the page and its server, over an API that is served by HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import yaml

from slipway.apps.environments.rows import Row, age, as_json, as_table, in_one_line, rows
from slipway.apps.manifests.labels import HELD_FROM, Object
from slipway.dashboard.__main__ import Dashboard, server
from slipway.dashboard.page import as_page

PROJECT = Path(__file__).parents[4]
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def deployment(name: str = "web", branch: str = "main", **changes: Any) -> Object:
    """A Deployment that is rolled out."""
    status = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    return {
        "metadata": {
            "name": name,
            "namespace": f"{name}-{branch}",
            "generation": 1,
            "creationTimestamp": "2026-01-30T12:00:00Z",
            "labels": {"app.kubernetes.io/name": name},
            "annotations": {
                "slipway.internal/branch": branch,
                "slipway.internal/commit": COMMIT,
                **changes.pop("annotations", {}),
            },
        },
        "spec": {"replicas": 2},
        "status": {**status, **changes},
    }


def note(**about: Any) -> dict[str, Any]:
    return {
        "app": "web",
        "branch": "main",
        "namespace": "web-main",
        "commit": "f" * 40,
        "urls": ["http://demo.test/web/"],
        "failing": False,
        **about,
    }


def notes(**entries: dict[str, Any]) -> Object:
    """The ConfigMap with entries by branch of web."""
    ids = {f"web-{branch}/web": entry for branch, entry in entries.items()}
    return {"data": {"environments.json": json.dumps(ids)}}


FAILURE = {"step": "build", "reason": "no compiler\nat all", "at": "2026-01-31T10:00:00Z"}


@pytest.mark.parametrize(
    ("changes", "about", "state"),
    [
        ({}, {}, "ready 2/2"),
        ({"updatedReplicas": 1}, {}, "rolling 2/2"),
        ({"observedGeneration": 0}, {}, "rolling 2/2"),
        ({"availableReplicas": 1}, {}, "rolling 1/2"),
        ({"replicas": 3}, {}, "rolling 2/2"),
        (
            {
                "availableReplicas": 0,
                "conditions": [{"type": "Progressing", "status": "False"}],
            },
            {},
            "failed, 0/2 serving",
        ),
        ({}, {"failing": True, "failure": FAILURE}, "failed, 2/2 serving"),
        ({"annotations": {HELD_FROM: "abc"}}, {}, "ready 2/2; rolled back"),
        (
            {},
            {"until": "2026-02-01T12:00:00Z"},
            "ready 2/2; branch gone, stays until 2026-02-01T12:00:00Z",
        ),
        ({}, {"until": ""}, "ready 2/2; branch gone, kept"),
    ],
)
def test_the_state_in_words(changes: dict[str, Any], about: dict[str, Any], state: str) -> None:
    [row] = rows([deployment(**changes)], notes(main=note(**about)))
    assert row.state == state


def test_what_runs_counts_and_notes_fill_in() -> None:
    [row] = rows([deployment()], notes(main=note(failure=FAILURE)))
    assert (row.commit, row.urls) == (COMMIT, ("http://demo.test/web/",))
    assert row.failure is not None
    assert row.failure.step == "build"


def test_one_that_was_never_deployed_is_there_with_its_failure() -> None:
    [row] = rows([], notes(main=note(failing=True, failure=FAILURE)))
    assert (row.state, row.created, row.commit) == ("failed, never deployed", "", "f" * 40)


@pytest.mark.parametrize(
    "config_map", [None, {}, {"data": {}}, {"data": {"environments.json": "{"}}]
)
def test_without_notes_what_runs_is_there(config_map: Object | None) -> None:
    [row] = rows([deployment()], config_map)
    assert (row.app, row.branch, row.state, row.urls) == ("web", "main", "ready 2/2", ())


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-31T11:59:30Z", "30s"),
        ("2026-01-31T11:00:01Z", "59m"),
        ("2026-01-30T13:00:00Z", "23h"),
        ("2026-01-01T12:00:00Z", "30d"),
        ("2026-01-31T12:00:05Z", "0s"),
        ("", "-"),
    ],
)
def test_ages(moment: str, expected: str) -> None:
    assert age(moment, NOW) == expected


def test_the_list_has_a_line_for_each_address() -> None:
    urls = ["http://demo.test/web/", "https://other.test/"]
    found = rows(
        [deployment(), deployment(branch="loud")],
        notes(main=note(urls=urls, failure=FAILURE), new=note(branch="new", failing=True)),
    )
    assert as_table(found, NOW) == [
        "APP  BRANCH  COMMIT   AGE  STATE                   URL                    LAST FAILURE",
        "web  loud    0123456  1d   ready 2/2               -                      -",
        "web  main    0123456  1d   ready 2/2               http://demo.test/web/  "
        "build, 2h ago: no compiler",
        "                                                   https://other.test/",
        "web  new     fffffff  -    failed, never deployed  http://demo.test/web/  -",
    ]


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("pod p: CrashLoopBackOff\nits last lines:\n    | bye", "pod p: CrashLoopBackOff"),
        (
            "build: mvn ended with code 1; it last said\n    | so\n    | no compiler\n",
            "no compiler",
        ),
        ("", ""),
    ],
)
def test_a_reason_in_one_line(reason: str, line: str) -> None:
    assert in_one_line(reason) == line


class Page(HTMLParser):
    """A page's elements, links and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note."""
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_data(self, data: str) -> None:
        """Note."""
        self.text.append(data)


def test_the_page_has_everything_and_takes_nothing_for_markup() -> None:
    evil = '<script>alert("x")</script>'
    failure = {**FAILURE, "step": evil, "reason": f"&amp; {evil}"}
    urls = [f'http://demo.test/"{evil}']
    about = note(app=evil, branch=evil, commit=evil, urls=urls, failing=True, failure=failure)
    page = Page(as_page(rows([], notes(main=about)), NOW))
    assert "script" not in page.tags
    assert page.links == urls
    assert page.text.count(evil) == 2  # app and branch
    assert f"&amp; {evil}" in page.text
    assert {"html", "title", "h1", "table", "th", "time", "meta"} - {*page.tags} == {"time"}
    assert "failed, never deployed" in page.text


def test_an_empty_page_has_no_table() -> None:
    page = Page(as_page([], NOW))
    assert "table" not in page.tags
    assert any("0 environments" in text for text in page.text)


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


def test_the_json_has_all_fields() -> None:
    [row] = json.loads(as_json(rows([deployment()], notes(main=note(failure=FAILURE)))))
    assert row.keys() == Row.__dataclass_fields__.keys()
    assert row["failure"] == FAILURE

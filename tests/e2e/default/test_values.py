"""What an app is given, and what its clients get, is to the letter of apps.yml and of the app."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Scenario

HOST = "values.slipway.test"
FRONT = "/caf%C3%A9"

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY server.py /
ENTRYPOINT ["python3", "-u", "/server.py"]
"""

SERVER = '''\
"""Shows what it was given; what it sends has no length, so that it ends with its connection."""

import base64
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        where, _, what = self.path.partition("?")
        self.send_response(302 if where == "/login" else 200)
        if where == "/login":
            self.send_header("Location", "/home")
        if where == "/cookie":
            self.send_header("Set-Cookie", "a=" + "x" * 12000)
        self.end_headers()
        if where == "/env":
            self.wfile.write(json.dumps(dict(os.environ)).encode())
        elif where == "/headers":
            self.wfile.write(json.dumps(dict(self.headers)).encode())
        elif where == "/file":
            self.wfile.write(base64.b64encode(Path(unquote(what)).read_bytes()))
        elif where == "/events":
            for number in range(5):
                self.wfile.write(f"data: {number}\\n\\n".encode())
                time.sleep(1)
        else:
            self.wfile.write(b"all there")


ThreadingHTTPServer(("", 8080), Handler).serve_forever()
'''

WORDS = {"ZIP": "01067", "AT": "12:30", "HEX": "0x1F", "MANY": "1_000", "MODE": "0644"} | {
    "BIG": "1e3",
    "HALF": ".5",
    "DEBUG": "yes",
    "OFF": "off",
    "DAY": "2024-01-01",
    "VERSION": "1.10",
}
"""Variables that are no text to YAML, written without quotes."""

TEXTS = {
    "COST": "cost $(ZIP) $$5 $",
    "SCRIPT": "echo ${#list[@]} #} {# $(HOME)",
    "LINES": "one\r\ntwo\n",
}

FILES = {
    "/config/run.sh": b"for i in ${#list[@]}; do echo $(A) $$; done #}\r\n",
    "/config/logo.png": b"\x89PNG\r\n\x1a\n\x00\xff\xfe",
}


@dataclass(frozen=True)
class Values:
    """The app at the address of its route."""

    address: str

    @contextmanager
    def opened(
        self, path: str, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer whose head is there, as a client gets it."""
        with closing(http.client.HTTPConnection(self.address, timeout=30)) as connection:
            connection.request("GET", f"{FRONT}{path}", headers={"Host": HOST, **(headers or {})})
            yield connection.getresponse()

    def ask(self, path: str) -> bytes:
        with self.opened(path) as answer:
            assert answer.status == 200
            return answer.read()


def _app(source: str) -> dict[str, object]:
    env = {**{name: f"@{word}@" for name, word in WORDS.items()}, **TEXTS}
    configs = [{"path": path, "file": Path(path).name} for path in FILES]
    rule = {"path": "/café/", "rewrite": "/", "expect": "all there"}
    ingress = {"host": HOST, "rules": [rule], "rewrite_redirects": True}
    settings = {"build": "buildx", "env": env, "config_files": configs, "ingress": ingress}
    return {"name": "values", "git_url": source, **settings}


@pytest.fixture(scope="module")
def values(scenario: Scenario, apps_file: AppsFile) -> Iterator[Values]:
    """The app, deployed; afterwards the apps are made what they were."""
    source = apps_file.repository("values", {"Dockerfile": DOCKERFILE, "server.py": SERVER})
    for path, content in FILES.items():
        apps_file.write(Path(path).name, content)

    def add(apps: Apps) -> None:
        apps.append(_app(source))

    changed = apps_file.changed(add)
    text = changed.read_text()
    for word in WORDS.values():
        assert f"'@{word}@'" in text
        text = text.replace(f"'@{word}@'", word)
    changed.write_text(text)
    run = scenario.deploy(changed)
    assert run.code == 0, str(run)
    yield Values(scenario.ingress_address())
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, str(undone)


def test_variables_and_files_are_to_the_letter(values: Values) -> None:
    env = json.loads(values.ask("/env"))
    given = {**WORDS, **TEXTS}
    assert {name: env[name] for name in given} == given
    for path, content in FILES.items():
        assert base64.b64decode(values.ask(f"/file?{quote(path)}")) == content


def test_events_come_one_by_one(values: Values) -> None:
    began = time.monotonic()
    with values.opened("/events") as answer:
        assert answer.readline() == b"data: 0\n"
        assert time.monotonic() - began < 3
        assert answer.read().count(b"data: ") == 4


def test_large_cookies_come_and_go(values: Values) -> None:
    with values.opened("/cookie") as answer:
        cookie = answer.headers["Set-Cookie"]
    assert len(cookie) == 12_002
    with values.opened("/headers", {"Cookie": cookie}) as answer:
        assert json.loads(answer.read())["Cookie"] == cookie


def test_a_service_behind_a_rewrite_can_send_its_clients_on(values: Values) -> None:
    assert json.loads(values.ask("/headers"))["X-Forwarded-Prefix"] == FRONT
    with values.opened("/login") as answer:
        assert (answer.status, answer.headers["Location"]) == (302, f"{FRONT}/home")

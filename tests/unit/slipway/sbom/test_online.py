"""Databases that are asked over the network, and what they are asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from slipway.errors import SlipwayError
from slipway.sbom.online import go_advisories, pypi_advisories
from slipway.sbom.osv import faults
from slipway.sbom.packages import Package

NET = Package("golang", "golang.org/x/net", "v0.30.0")
OWN = Package("golang", "git.example.com/secret/own", "v1.0.0")
REQUESTS = Package("pypi", "requests", "2.0")

GO_FAULT = {
    "id": "GO-2026-0001",
    "affected": [
        {
            "package": {"ecosystem": "Go", "name": NET.name},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "0.31.0"}]}],
        }
    ],
}
PYPI_FAULT = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-2"],
    "fixed_in": ["1.9", "2.1"],
    "withdrawn": None,
}


class Server:
    """Answers by path, and notes what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.asked: list[str] = []
        self.answers = answers
        self.address = ""


@pytest.fixture
def server() -> Iterator[Server]:
    """A database of Go and an index of Python's packages."""
    state = Server(
        {
            "/index/modules.json": [
                {"path": NET.name, "vulns": [{"id": "GO-2026-0001"}]},
                {"path": "example.com/other", "vulns": [{"id": "GO-2026-0002"}]},
            ],
            "/ID/GO-2026-0001.json": GO_FAULT,
            "/pypi/requests/2.0/json": {"info": {}, "vulnerabilities": [PYPI_FAULT]},
            "/pypi/idna/3.0/json": {"info": {}, "vulnerabilities": []},
        }
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            answer = state.answers.get(self.path)
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            if answer is not None:
                self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    state.address = f"http://127.0.0.1:{served.server_port}"
    yield state
    served.shutdown()
    served.server_close()


def test_a_database_of_go_is_told_of_no_module_that_it_does_not_know(server: Server) -> None:
    found, _known = faults([NET, OWN], go_advisories(server.address, [NET, OWN, REQUESTS]))
    assert [(each.package, each.advisory, each.fixed) for each in found] == [
        (NET, "GO-2026-0001", "0.31.0")
    ]
    assert server.asked == ["/index/modules.json", "/ID/GO-2026-0001.json"]


def test_an_index_is_asked_for_each_package(server: Server) -> None:
    packages = [REQUESTS, Package("pypi", "idna", "3.0"), NET]
    found, _known = faults(packages, pypi_advisories(server.address, packages))
    assert [(each.package, each.advisory, each.fixed) for each in found] == [
        (REQUESTS, "PYSEC-2026-1 CVE-2026-2", "2.1")
    ]
    assert server.asked == ["/pypi/requests/2.0/json", "/pypi/idna/3.0/json"]


def test_what_an_index_has_withdrawn_is_no_fault(server: Server) -> None:
    withdrawn = {**PYPI_FAULT, "withdrawn": "2026-02-01T00:00:00Z"}
    server.answers["/pypi/requests/2.0/json"] = {"vulnerabilities": [withdrawn]}
    assert faults([REQUESTS], pypi_advisories(server.address, [REQUESTS]))[0] == set()


def test_one_that_does_not_answer_is_told(server: Server) -> None:
    server.answers.clear()
    with pytest.raises(SlipwayError, match=r"/index/modules\.json: does not answer: .*404"):
        [*go_advisories(server.address, [NET])]
    with pytest.raises(SlipwayError, match=r"/pypi/requests/2\.0/json: does not answer: .*404"):
        [*pypi_advisories(server.address, [REQUESTS])]
    with pytest.raises(SlipwayError, match="does not answer"):
        [*go_advisories("http://127.0.0.1:1", [NET])]

"""Routes asked over HTTP, of a server that stands in for the ingress."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from slipway.apps import verify
from slipway.apps.manifests import render
from slipway.apps.manifests.routes import master
from slipway.apps.verify import Proof, prove
from slipway.errors import SlipwayError
from slipway.kube import Kube
from tests.unit.apps_deploy.app_cluster import FakeApi, record

Answers = dict[tuple[str, str], list[tuple[int, str]]]


@dataclass
class Ingress:
    """What each host and path answers, one after another; the last answer stays."""

    address: str = ""
    answers: Answers = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    wait: Callable[[], object] = lambda: None

    def answer(self, host: str, path: str) -> tuple[int, str]:
        self.asked.append((host, path))
        self.wait()
        left = self.answers.get((host, path), [(404, "no such route")])
        return left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def ingress(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ingress]:
    """A server on loopback."""
    fake = Ingress()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

        def do_GET(self) -> None:
            status, text = fake.answer(self.headers["Host"], self.path)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(text.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    fake.address = f"127.0.0.1:{server.server_port}"
    monkeypatch.setattr(verify, "RETRY_SECONDS", 0.01)
    yield fake
    server.shutdown()
    server.server_close()


HOST = "demo.slipway.test"
GREETER = (HOST, "/greeter/main/")
QUOTE = (HOST, "/quote/main/")


def ask(
    kube: Kube, ingress: Ingress, *apps: dict[str, Any], seconds: float = 5, address: str = ""
) -> Proof:
    # The URL of a route has no port, as the load balancer's is 80; the address may have one here.
    return prove(kube, apps, address=address or ingress.address, seconds=seconds)


def reason(proof: Proof) -> str:
    """Why the only app failed."""
    [app] = proof.apps
    assert app["failed"]["step"] == "verify"
    text: str = app["failed"]["reason"]
    return text


def test_a_route_that_says_what_is_expected(kube: Kube, ingress: Ingress) -> None:
    ingress.answers[GREETER] = [(200, "Hello from main,\n  deployed\n")]
    proof = ask(kube, ingress, record())
    assert "failed" not in proof.apps[0]
    assert ingress.asked == [GREETER]
    assert proof.table == [
        "APP      BRANCH  COMMIT   NAMESPACE     URL                                     ANSWER",
        "greeter  main    0123456  greeter-main  http://demo.slipway.test/greeter/main/  "
        "Hello from main, deployed",
    ]
    proof.require()


def test_the_moment_that_the_ingress_needs_is_given(kube: Kube, ingress: Ingress) -> None:
    ingress.answers[GREETER] = [(404, ""), (502, "Bad Gateway"), (200, "old"), (200, "Hello")]
    proof = ask(kube, ingress, record())
    assert "failed" not in proof.apps[0]
    assert len(ingress.asked) == 4


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (502, "<h1>Bad\nGateway</h1>", "HTTP 502: <h1>Bad Gateway</h1>"),
        (200, "Good evening", "expected 'Hello', it says 'Good evening'"),
        (500, "Hello", "HTTP 500: Hello"),
        (200, "x" * 99, f"expected 'Hello', it says '{'x' * 59}…'"),
    ],
)
def test_a_wrong_answer_is_told(
    kube: Kube, ingress: Ingress, status: int, text: str, expected: str
) -> None:
    ingress.answers[GREETER] = [(status, text)]
    proof = ask(kube, ingress, record(), seconds=0.1)
    assert reason(proof) == f"http://demo.slipway.test/greeter/main/: {expected}"
    assert len(ingress.asked) > 1
    assert "FAILED at verify; " in proof.table[1]


def test_without_an_expectation_any_good_status_will_do(kube: Kube, ingress: Ingress) -> None:
    app = record()
    app["ingress"]["rules"][0]["expect"] = None
    ingress.answers[GREETER] = [(302, "")]
    assert "failed" not in ask(kube, ingress, app).apps[0]
    ingress.answers[GREETER] = [(404, "")]
    assert "failed" in ask(kube, ingress, app, seconds=0).apps[0]


def test_no_answer_is_told_with_the_systems_reason(kube: Kube, ingress: Ingress) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"127.0.0.1:{free.getsockname()[1]}"
    proof = ask(kube, ingress, record(), seconds=0, address=gone)
    assert reason(proof).endswith(f"no answer from {gone}: connection refused")


def test_routes_are_asked_at_the_same_time(kube: Kube, ingress: Ingress) -> None:
    """Each answer waits until all four are asked for."""
    together = threading.Barrier(4, timeout=5)
    ingress.wait = together.wait
    apps = [record(f"app{number}") for number in range(4)]
    for app in apps:
        ingress.answers[HOST, f"/{app['name']}/main/"] = [(200, "Hello")]
    proof = ask(kube, ingress, *apps, seconds=0)
    assert not [app for app in proof.apps if "failed" in app]


def test_an_app_that_failed_before_is_asked_once_and_stays_failed(
    kube: Kube, ingress: Ingress
) -> None:
    ingress.answers[GREETER] = [(200, "the version before")]
    broken = record(failed={"step": "build", "reason": "no compiler"})
    proof = ask(kube, ingress, broken)
    assert ingress.asked == [GREETER]
    assert proof.apps[0]["failed"] == broken["failed"]
    assert proof.table[1].endswith("FAILED at build; the version before")


def test_every_failure_is_in_the_one_error(kube: Kube, ingress: Ingress) -> None:
    ingress.answers[GREETER] = [(200, "Hello")]
    apps = [
        record(),
        record("quote"),
        record(branch="feature", failed={"step": "deploy", "reason": "pod p: crashed"}),
    ]
    with pytest.raises(SlipwayError) as caught:
        ask(kube, ingress, *apps, seconds=0).require()
    assert str(caught.value) == (
        "quote (main), verify: http://demo.slipway.test/quote/main/: HTTP 404: no such route\n"
        "greeter (feature), deploy: pod p: crashed"
    )


def test_all_wrong_routes_of_an_app_are_told(kube: Kube, ingress: Ingress) -> None:
    app = record()
    rule = app["ingress"]["rules"][0]
    app["ingress"]["rules"] = [rule, {**rule, "path": "/other/"}]
    proof = ask(kube, ingress, app, seconds=0)
    assert [line.split(": ")[0] for line in reason(proof).splitlines()] == [
        "http://demo.slipway.test/greeter/main/",
        "http://demo.slipway.test/other/",
    ]
    assert len(proof.table) == 3


def test_an_app_without_routes_is_in_the_table(kube: Kube, ingress: Ingress) -> None:
    proof = ask(kube, ingress, record(ingress=None))
    assert proof.table[1].split() == [
        "greeter",
        "main",
        "0123456",
        "greeter-main",
        "-",
        "no",
        "route",
    ]


def test_a_commit_that_is_not_known_comes_from_the_cluster(
    kube: Kube, api: FakeApi, ingress: Ingress
) -> None:
    deployed = record(commit="fedcba9" + "0" * 33)
    for obj in render(deployed, "nginx"):
        if obj["kind"] == "Deployment":
            api.put("deployments", obj)
    known, unknown, absent = record("quote"), record(), record("new")
    for app in (unknown, absent):
        del app["commit"]
    proof = ask(kube, ingress, known, unknown, absent, seconds=0)
    assert [line.split()[2] for line in proof.table[1:]] == ["0123456", "fedcba9", "-"]


def test_the_address_is_what_the_master_reports(kube: Kube, api: FakeApi, ingress: Ingress) -> None:
    ingress.answers[GREETER] = [(200, "Hello")]
    status = {"loadBalancer": {"ingress": [{"ip": ingress.address}]}}
    api.put("ingresses", {**master(HOST, "nginx"), "status": status})
    [minion] = [obj for obj in render(record(), "nginx") if obj["kind"] == "Ingress"]
    minion["metadata"]["name"] = HOST  # an app may have the name of a host
    api.put("ingresses", {**minion, "status": {"loadBalancer": {"ingress": [{"ip": "::"}]}}})
    proof = prove(kube, [record()], address=None, seconds=0)
    assert "failed" not in proof.apps[0]


def test_a_host_that_no_controller_serves(kube: Kube, api: FakeApi, ingress: Ingress) -> None:
    api.put("ingresses", master(HOST, "nginx"))
    proof = prove(kube, [record()], address=None, seconds=0)
    assert reason(proof).endswith("no ingress controller serves this host")
    assert ingress.asked == []


def test_the_host_of_failed_apps_is_not_waited_for(kube: Kube, ingress: Ingress) -> None:
    broken = record(failed={"step": "build", "reason": "no compiler"})
    began = time.monotonic()
    proof = prove(kube, [broken], address=None, seconds=30)
    assert time.monotonic() - began < 10
    assert proof.apps[0]["failed"] == broken["failed"]

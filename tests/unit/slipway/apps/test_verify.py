"""Routes asked over HTTP and HTTPS, of servers that stand in for the ingress."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from msgspec import structs

from slipway.apps import verify
from slipway.apps.app import App, Built, HostCertificate
from slipway.apps.manifests.labels import HELD_FROM, ROUTES_NAMESPACE
from slipway.apps.manifests.render import render
from slipway.apps.manifests.routes import master
from slipway.apps.verify import Proof, prove
from slipway.certificates import Authority, Pair
from slipway.errors import SlipwayError
from slipway.kube.client import INGRESSES, Kube
from tests.support.app_cluster import FakeApi
from tests.support.apps import built, planned, reason

Answers = dict[tuple[str, str], list[tuple[int, str]]]


@dataclass
class Ingress:
    """What each host and path answers, one after another; the last answer stays."""

    address: str = ""
    location: str = "/elsewhere"
    answers: Answers = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0
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
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body of an answer in one packet

        def setup(self) -> None:
            fake.connections += 1
            super().setup()

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

        def do_GET(self) -> None:
            status, text = fake.answer(self.headers["Host"], self.path)
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", fake.location)
            self.send_header("Content-Length", str(len(text.encode())))
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


NO_CA = Path("/nonexistent")
HOST = "demo.slipway.test"
GREETER = (HOST, "/greeter/main/")
QUOTE = (HOST, "/quote/main/")


def ask(
    kube: Kube,
    ingress: Ingress,
    *apps: App,
    seconds: float = 5,
    address: str = "",
    secrets: dict[str, str] | None = None,
    ca_dir: Path = NO_CA,
) -> Proof:
    # The URL of a route has no port, as the load balancer's is 80; the address may have one here.
    return prove(
        kube,
        apps,
        secrets=secrets or {},
        ca_dir=ca_dir,
        address=address or ingress.address,
        seconds=seconds,
    )


def failure(proof: Proof) -> str:
    """Why the only app failed."""
    [app] = proof.apps
    assert app.failed
    assert app.failed.step == "verify"
    return app.failed.reason


def test_a_route_that_says_what_is_expected(kube: Kube, ingress: Ingress) -> None:
    ingress.answers[GREETER] = [(200, "Hello from main,\n  deployed\n")]
    proof = ask(kube, ingress, built())
    assert not proof.apps[0].failed
    assert ingress.asked == [GREETER]
    assert proof.table == [
        "APP      BRANCH  COMMIT   NAMESPACE     URL                                     ANSWER",
        "greeter  main    0123456  greeter-main  http://demo.slipway.test/greeter/main/  "
        "Hello from main, deployed",
    ]
    assert proof.problems() == []


def test_the_moment_that_the_ingress_needs_is_given(kube: Kube, ingress: Ingress) -> None:
    ingress.answers[GREETER] = [(404, ""), (502, "Bad Gateway"), (200, "old"), (200, "Hello")]
    proof = ask(kube, ingress, built())
    assert not proof.apps[0].failed
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
    proof = ask(kube, ingress, built(), seconds=0.1)
    assert failure(proof) == f"http://demo.slipway.test/greeter/main/: {expected}"
    assert len(ingress.asked) > 1
    assert "FAILED at verify; " in proof.table[1]


def test_without_an_expectation_any_good_status_will_do(kube: Kube, ingress: Ingress) -> None:
    app = built()
    app.rules[0].expect = None
    ingress.answers[GREETER] = [(302, "")]
    assert not ask(kube, ingress, app).apps[0].failed
    ingress.answers[GREETER] = [(404, "")]
    assert ask(kube, ingress, app, seconds=0).apps[0].failed


def test_no_answer_is_told_with_the_systems_reason(kube: Kube, ingress: Ingress) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"127.0.0.1:{free.getsockname()[1]}"
    proof = ask(kube, ingress, built(), seconds=0, address=gone)
    assert failure(proof).endswith(f"no answer from {gone}: connection refused")


def test_routes_are_asked_at_the_same_time(kube: Kube, ingress: Ingress) -> None:
    """Each answer waits until all four are asked for."""
    together = threading.Barrier(4, timeout=5)
    ingress.wait = together.wait
    apps = [built(f"app{number}") for number in range(4)]
    for app in apps:
        ingress.answers[HOST, f"/{app.name}/main/"] = [(200, "Hello")]
    proof = ask(kube, ingress, *apps, seconds=0)
    assert not [app for app in proof.apps if app.failed]


def test_a_connection_serves_one_route_after_another(
    kube: Kube, ingress: Ingress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "WORKERS", 1)
    apps = [built(f"app{number}") for number in range(3)]
    for app in apps:
        ingress.answers[HOST, f"/{app.name}/main/"] = [(200, "Hello")]
    proof = ask(kube, ingress, *apps, seconds=0)
    assert not [app for app in proof.apps if app.failed]
    assert ingress.connections == 1


def test_an_app_that_failed_before_is_asked_once_and_stays_failed(
    kube: Kube, ingress: Ingress
) -> None:
    ingress.answers[GREETER] = [(200, "the version before")]
    broken = built(failed={"step": "build", "reason": "no compiler"})
    proof = ask(kube, ingress, broken)
    assert ingress.asked == [GREETER]
    assert proof.apps[0].failed == broken.failed
    assert proof.table[1].endswith("FAILED at build; the version before")


def test_every_failure_is_told_with_its_step(kube: Kube, ingress: Ingress) -> None:
    ingress.answers[GREETER] = [(200, "Hello")]
    apps = [
        built(),
        built("quote"),
        built(branch="feature", failed={"step": "deploy", "reason": "pod p: crashed"}),
    ]
    assert [str(problem) for problem in ask(kube, ingress, *apps, seconds=0).problems()] == [
        "quote (main), verify: http://demo.slipway.test/quote/main/: HTTP 404: no such route",
        "greeter (feature), deploy: pod p: crashed",
    ]


def test_all_wrong_routes_of_an_app_are_told(kube: Kube, ingress: Ingress) -> None:
    app = built()
    assert app.ingress
    app.ingress.rules.append(structs.replace(app.rules[0], path="/other/"))
    proof = ask(kube, ingress, app, seconds=0)
    assert [line.split(": ")[0] for line in failure(proof).splitlines()] == [
        "http://demo.slipway.test/greeter/main/",
        "http://demo.slipway.test/other/",
    ]
    assert len(proof.table) == 3


def test_an_app_without_routes_is_in_the_table(kube: Kube, ingress: Ingress) -> None:
    proof = ask(kube, ingress, built(ingress=None))
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
    deployed = built(commit="fedcba9" + "0" * 33)
    for obj in render(deployed, "nginx"):
        if obj["kind"] == "Deployment":
            api.put("deployments", obj)
    known, unknown, absent = built("quote"), planned(), planned("new")
    proof = ask(kube, ingress, known, unknown, absent, seconds=0)
    assert [line.split()[2] for line in proof.table[1:]] == ["0123456", "fedcba9", "-"]


def test_what_is_held_at_an_older_version_may_say_what_that_says(
    kube: Kube, api: FakeApi, ingress: Ingress
) -> None:
    ingress.answers[GREETER] = [(200, "Good old days")]
    assert not ask(kube, ingress, built(held="0" * 40), seconds=0).apps[0].failed
    assert "expected 'Hello'" in failure(ask(kube, ingress, built(), seconds=0))
    for obj in render(built(), "nginx"):
        if obj["kind"] == "Deployment":
            obj["metadata"]["annotations"][HELD_FROM] = "abc"
            api.put("deployments", obj)
    alone = planned()  # as when the proof is asked for alone
    assert not ask(kube, ingress, alone, seconds=0).apps[0].failed


def test_the_address_is_what_the_master_reports(kube: Kube, api: FakeApi, ingress: Ingress) -> None:
    ingress.answers[GREETER] = [(200, "Hello")]
    status = {"loadBalancer": {"ingress": [{"ip": ingress.address}]}}
    api.put("ingresses", {**master(HOST, "nginx"), "status": status})
    [minion] = [obj for obj in render(built(), "nginx") if obj["kind"] == "Ingress"]
    minion["metadata"]["name"] = HOST  # an app may have the name of a host
    api.put("ingresses", {**minion, "status": {"loadBalancer": {"ingress": [{"ip": "::"}]}}})
    proof = prove(kube, [built()], secrets={}, ca_dir=NO_CA, address=None, seconds=0)
    assert not proof.apps[0].failed
    assert api.requests == [("GET", INGRESSES.path(ROUTES_NAMESPACE))]


def test_a_host_that_no_controller_serves(kube: Kube, api: FakeApi, ingress: Ingress) -> None:
    api.put("ingresses", master(HOST, "nginx"))
    proof = prove(kube, [built()], secrets={}, ca_dir=NO_CA, address=None, seconds=0)
    assert failure(proof).endswith("no ingress controller serves this host")
    assert ingress.asked == []


def test_the_host_of_failed_apps_is_not_waited_for(kube: Kube, ingress: Ingress) -> None:
    broken = built(failed={"step": "build", "reason": "no compiler"})
    began = time.monotonic()
    proof = prove(kube, [broken], secrets={}, ca_dir=NO_CA, address=None, seconds=30)
    assert time.monotonic() - began < 10
    assert proof.apps[0].failed == broken.failed


@dataclass
class Secure:
    """A server that speaks TLS for the ingress: with which certificate, and what it was asked."""

    ingress: Ingress
    folder: Path
    context: ssl.SSLContext
    names: list[str]

    def serve(self, pair: Pair) -> None:
        """Show this certificate from now on."""
        (self.folder / "crt").write_text(pair.certificate)
        (self.folder / "key").write_text(pair.key)
        self.context.load_cert_chain(self.folder / "crt", self.folder / "key")


@pytest.fixture
def secure(ingress: Ingress, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Secure]:
    """The ingress with a second port, which answers over TLS what the plain one redirects."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    names: list[str] = []
    context.sni_callback = lambda _socket, name, _context: names.append(str(name))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

        def do_GET(self) -> None:
            status, text = ingress.answer(f"https://{self.headers['Host']}", self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            # A client that does not like the certificate goes; it is the one to say why.
            with suppress(OSError), context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(verify, "HTTPS_PORT", server.server_port)
    yield Secure(ingress, tmp_path, context, names)
    server.shutdown()
    server.server_close()


SECURE_GREETER = (f"https://{HOST}", "/greeter/main/")
OWN = HostCertificate(certificate="shop_certificate", key="shop_key")


def with_tls(tls: str | HostCertificate = "local-ca") -> Built:
    """An app whose host has a certificate."""
    app = built()
    app.rules[0].tls = tls
    return app


def test_a_host_with_tls_is_asked_over_https_by_its_name(
    kube: Kube, secure: Secure, tmp_path: Path
) -> None:
    secure.serve(Authority.keep(tmp_path / "ca").issue(HOST))
    secure.ingress.answers |= {SECURE_GREETER: [(200, "Hello")], GREETER: [(301, "")]}
    secure.ingress.location = f"https://{HOST}:443/greeter/main/"
    proof = ask(kube, secure.ingress, with_tls(), ca_dir=tmp_path / "ca")
    assert not proof.apps[0].failed
    assert secure.names == [HOST]
    assert secure.ingress.asked == [SECURE_GREETER, GREETER]
    assert proof.table[1].endswith(f"https://{HOST}/greeter/main/  Hello")


def test_redirects_to_https_share_a_connection(
    kube: Kube, secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "WORKERS", 1)
    secure.serve(Authority.keep(tmp_path / "ca").issue(HOST))
    app = with_tls()
    assert app.ingress
    [rule] = app.rules
    app.ingress.rules = [structs.replace(rule, path=f"/{number}") for number in range(3)]
    secure.ingress.location = f"https://{HOST}/"
    for number in range(3):
        secure.ingress.answers |= {
            (f"https://{HOST}", f"/{number}"): [(200, "Hello")],
            (HOST, f"/{number}"): [(301, "moved")],
        }
    assert not ask(kube, secure.ingress, app, ca_dir=tmp_path / "ca").apps[0].failed
    assert secure.ingress.connections == 1


@pytest.mark.parametrize("location", ["https://other.test/", f"http://{HOST}/greeter/main/", ""])
def test_a_redirect_has_to_lead_to_the_same_host_over_https(
    kube: Kube, secure: Secure, tmp_path: Path, location: str
) -> None:
    secure.serve(Authority.keep(tmp_path / "ca").issue(HOST))
    secure.ingress.answers |= {SECURE_GREETER: [(200, "Hello")], GREETER: [(301, "")]}
    secure.ingress.location = location
    proof = ask(kube, secure.ingress, with_tls(), ca_dir=tmp_path / "ca", seconds=0)
    assert "HTTP 301 over plain HTTP instead of a redirect to HTTPS" in failure(proof)


def test_plain_http_must_not_serve_what_has_tls(kube: Kube, secure: Secure, tmp_path: Path) -> None:
    secure.serve(Authority.keep(tmp_path / "ca").issue(HOST))
    secure.ingress.answers |= {SECURE_GREETER: [(200, "Hello")], GREETER: [(200, "Hello")]}
    proof = ask(kube, secure.ingress, with_tls(), ca_dir=tmp_path / "ca", seconds=0)
    assert "HTTP 200 over plain HTTP" in failure(proof)


def test_a_wrong_certificate_is_told(kube: Kube, secure: Secure, tmp_path: Path) -> None:
    authority = Authority.keep(tmp_path / "ca")
    for issuer, host, said in (
        (authority, "other.test", "Hostname mismatch"),
        (Authority.make(), HOST, "unable to get local issuer certificate"),
    ):
        secure.serve(issuer.issue(host))
        proof = ask(kube, secure.ingress, with_tls(), ca_dir=tmp_path / "ca", seconds=0)
        assert failure(proof).startswith(f"https://{HOST}/greeter/main/: wrong certificate: {said}")
    assert secure.ingress.asked == []


def test_a_certificate_of_the_vault_is_proved_by_its_own_chain(
    kube: Kube, secure: Secure, tmp_path: Path
) -> None:
    company = Authority.make()
    leaf = company.issue(HOST)
    alone, chained = leaf, Pair(leaf.certificate + company.root, leaf.key)
    secure.ingress.answers |= {SECURE_GREETER: [(200, "Hello")], GREETER: [(301, "")]}
    secure.ingress.location = f"https://{HOST}/greeter/main/"
    for wanted in (alone, chained):
        secrets = {"shop_certificate": wanted.certificate, "shop_key": wanted.key}
        secure.serve(wanted)
        proof = ask(kube, secure.ingress, with_tls(OWN), secrets=secrets, seconds=0)
        assert not proof.apps[0].failed
        secure.serve(Authority.make().issue(HOST))
        proof = ask(kube, secure.ingress, with_tls(OWN), secrets=secrets, seconds=0)
        assert "wrong certificate" in failure(proof)


def test_hosts_that_share_a_certificate_share_what_it_is_proved_by(
    kube: Kube, ingress: Ingress, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = Authority.make().issue("*.slipway.test")
    made = Mock(wraps=ssl.create_default_context)
    monkeypatch.setattr(ssl, "create_default_context", made)
    apps = [with_tls(OWN), with_tls(OWN)]
    apps[1].rules[0].host = "other.slipway.test"
    secrets = {"shop_certificate": leaf.certificate, "shop_key": leaf.key}
    ask(kube, ingress, *apps, secrets=secrets, seconds=0)
    assert made.call_count == 1


def test_without_the_authority_nothing_can_be_proved(kube: Kube, ingress: Ingress) -> None:
    with pytest.raises(SlipwayError, match="no certificate authority here"):
        ask(kube, ingress, with_tls())


def test_many_hosts_are_asked_at_once(kube: Kube, secure: Secure, tmp_path: Path) -> None:
    secure.serve(Authority.keep(tmp_path / "ca").issue("*.slipway.test"))
    secure.ingress.location = "https://x"
    apps = []
    for number in range(40):
        app = with_tls()
        host = f"host{number}.slipway.test"
        app.id = host
        app.rules[0].host = host
        secure.ingress.answers[f"https://{host}", "/greeter/main/"] = [(200, "Hello")]
        apps.append(app)
    proof = ask(kube, secure.ingress, *apps, ca_dir=tmp_path / "ca", seconds=0)
    told = [reason(app).split(": ", 1)[1] for app in proof.apps]
    assert set(told) == {"HTTP 404 over plain HTTP instead of a redirect to HTTPS"}


def test_it_is_told_where_each_host_is(kube: Kube, api: FakeApi, ingress: Ingress) -> None:
    status = {"loadBalancer": {"ingress": [{"ip": ingress.address}]}}
    api.put("ingresses", {**master(HOST, "nginx"), "status": status})
    other = built("quote")
    other.rules[0].host = "other.test"
    apps = [built(), other]
    proof = prove(kube, apps, secrets={}, ca_dir=NO_CA, address=None, seconds=0)
    assert proof.addresses == {HOST: ingress.address, "other.test": ""}


def reported(api: FakeApi, *hosts: str) -> None:
    """Let the ingress controller serve hosts at an address that nobody here reaches."""
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.200"}]}}
    for host in hosts:
        api.put("ingresses", {**master(host, "nginx"), "status": status})


LOCAL = "demo.slipway.localhost"


def local_app(tls: str | None = None) -> Built:
    """An app below localhost."""
    app = built()
    app.rules[0].host, app.rules[0].tls = LOCAL, tls
    return app


def test_a_name_below_localhost_is_asked_at_the_port_of_this_machine(
    kube: Kube, api: FakeApi, ingress: Ingress
) -> None:
    ingress.answers[LOCAL, "/greeter/main/"] = [(200, "Hello")]
    reported(api, LOCAL)
    port = int(ingress.address.rpartition(":")[2])
    ports = {"http": port, "https": 1}
    apps = [local_app()]
    proof = prove(kube, apps, secrets={}, ca_dir=NO_CA, address=None, ports=ports, seconds=0)
    assert not proof.apps[0].failed
    assert proof.table[1].endswith(f"http://{LOCAL}:{port}/greeter/main/  Hello")
    assert proof.addresses == {LOCAL: "192.0.2.200"}


def test_a_name_below_localhost_is_asked_over_tls_at_its_own_port(
    kube: Kube, api: FakeApi, secure: Secure, tmp_path: Path
) -> None:
    secure.serve(Authority.keep(tmp_path / "ca").issue(LOCAL))
    path = "/greeter/main/"
    secure.ingress.answers |= {
        (f"https://{LOCAL}", path): [(200, "Hello")],
        (LOCAL, path): [(301, "")],
    }
    secure.ingress.location = f"https://{LOCAL}{path}"
    reported(api, LOCAL)
    ports = {"http": int(secure.ingress.address.rpartition(":")[2]), "https": verify.HTTPS_PORT}
    proof = prove(
        kube,
        [local_app("local-ca")],
        secrets={},
        ca_dir=tmp_path / "ca",
        address=None,
        ports=ports,
        seconds=0,
    )
    assert not proof.apps[0].failed
    assert f"https://{LOCAL}:{ports['https']}{path}  Hello" in proof.table[1]


@pytest.mark.parametrize("host", [HOST, "localhost.slipway.test", "demo.notlocalhost"])
def test_other_names_are_asked_where_the_controller_is(
    kube: Kube, api: FakeApi, ingress: Ingress, host: str
) -> None:
    app = built()
    app.rules[0].host = host
    ingress.answers[host, "/greeter/main/"] = [(200, "Hello")]
    status = {"loadBalancer": {"ingress": [{"ip": ingress.address}]}}
    api.put("ingresses", {**master(host, "nginx"), "status": status})
    ports = {"http": 1, "https": 2}
    proof = prove(kube, [app], secrets={}, ca_dir=NO_CA, address=None, ports=ports, seconds=0)
    assert proof.table[1].endswith(f"http://{host}/greeter/main/  Hello")


def test_a_name_below_localhost_that_no_controller_serves_is_told(
    kube: Kube, ingress: Ingress
) -> None:
    ports = {"http": int(ingress.address.rpartition(":")[2]), "https": 1}
    apps = [local_app()]
    proof = prove(kube, apps, secrets={}, ca_dir=NO_CA, address=None, ports=ports, seconds=0)
    assert failure(proof).endswith("no ingress controller serves this host")
    assert ingress.asked == []


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server whose answer is a greeting, and then a word now and then."""
    monkeypatch.setattr(verify, "BODY_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nHello")
                while not ended.wait(0.05):
                    connection.sendall(b" again")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        thread.join()


def test_an_answer_without_an_end_is_read_for_a_while(
    kube: Kube, ingress: Ingress, endless: str
) -> None:
    began = time.monotonic()
    proof = ask(kube, ingress, built(), address=endless, seconds=0)
    assert time.monotonic() - began < 3
    assert not proof.apps[0].failed
    assert "Hello again" in proof.table[1]


def test_what_nobody_foresaw_of_one_route_fails_its_app_alone(
    kube: Kube, ingress: Ingress, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingress.answers = {QUOTE: [(200, "Hello")]}
    plain = verify._ask

    def asked(http: Any, route: Any) -> Any:
        if route.path == GREETER[1]:
            raise UnicodeError("label empty or too long")
        return plain(http, route)

    monkeypatch.setattr(verify, "_ask", asked)
    proof = ask(kube, ingress, built(), built("quote"), seconds=0)
    assert "unexpected UnicodeError: label empty" in reason(proof.apps[0])
    assert not proof.apps[1].failed

"""The controller with a real nginx: what clients see, and what the objects say."""

from __future__ import annotations

import http.client
import os
import re
import signal
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.nginx_ingress.live import (
    ADDRESS,
    PATIENCE_SECONDS,
    Answer,
    Backend,
    Live,
    backend,
    controller,
    eventually,
)
from tests.unit.nginx_ingress.objects import (
    endpoint_slice,
    make_certificate,
    master,
    minion,
    path,
    service,
    tls_secret,
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One controller for the tests of this module; each uses a host and names of its own."""
    with controller(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture(scope="module")
def tea() -> Iterator[Backend]:
    with backend("tea") as running:
        yield running


@pytest.fixture(scope="module")
def coffee() -> Iterator[Backend]:
    with backend("coffee") as running:
        yield running


def expose(live: Live, name: str, port: int, namespace: str = "default") -> None:
    live.api.put(service(name, namespace))
    live.api.put(endpoint_slice(name, port, namespace))


def serving(live: Live, where: str, host: str, body: str) -> None:
    eventually(f"{host}{where} answers {body!r}", lambda: live.get(where, host).body == body)


def told(live: Live, name: str, reason: str, text: str, namespace: str = "default") -> None:
    eventually(text, lambda: (reason, text) in live.api.messages(namespace, name))


def accepted(live: Live, name: str, namespace: str = "default") -> None:
    """Wait until an Ingress is said to be served: from then on, every connection meets it."""
    text = f"Configuration for {namespace}/{name} was added or updated"
    told(live, name, "AddedOrUpdated", text, namespace)


def addressed(live: Live, name: str, expected: object, namespace: str = "default") -> None:
    def addresses() -> object:
        status = live.api.get("Ingress", namespace, name).get("status") or {}
        return (status.get("loadBalancer") or {}).get("ingress")

    eventually(f"{name} has {expected}", lambda: addresses() == expected)


def test_minions_of_several_namespaces_share_a_host(
    live: Live, tea: Backend, coffee: Backend
) -> None:
    host = "routes.example.com"
    expose(live, "tea", tea.port, "branch-a")
    expose(live, "tea", coffee.port, "branch-b")
    live.api.put(master("routes", host=host))
    rewrite = {"nginx.org/rewrites": "serviceName=tea rewrite=/"}
    live.api.put(minion("tea", "branch-a", path("/tea/"), host=host, annotations=rewrite))
    exact = path("/beans", path_type="Exact")
    live.api.put(minion("coffee", "branch-b", path("/coffee", port="http"), exact, host=host))
    for namespace, name in (("default", "routes"), ("branch-a", "tea"), ("branch-b", "coffee")):
        accepted(live, name, namespace)
        addressed(live, name, [{"ip": ADDRESS}], namespace)

    assert live.get("/coffee/x", host).body == "coffee /coffee/x"
    assert live.get("/tea/abc?q=1", host).body == "tea /abc?q=1"
    redirect = live.get("/tea", host)
    assert (redirect.status, redirect.headers["Location"]) == (301, "/tea/")
    assert live.get("/coffee", host).body == "coffee /coffee"
    assert live.get("/beans", host).body == "coffee /beans"
    assert live.get("/beans/x", host).status == 404
    assert live.get("/", host).status == 404
    assert live.get("/index.html", host).status == 404
    assert live.get("/tea/", "unknown.example.com").status == 404


def test_a_backend_learns_who_asked_and_how(live: Live, tea: Backend) -> None:
    host = "headers.example.com"
    expose(live, "headers", tea.port)
    live.api.put(master("headers", host=host))
    upgrade = {"nginx.org/websocket-services": "headers"}
    live.api.put(minion("plain", "default", path("/plain", "headers"), host=host))
    live.api.put(
        minion("socket", "default", path("/ws", "headers"), host=host, annotations=upgrade)
    )
    accepted(live, "plain")
    accepted(live, "socket")

    asked = {"Upgrade": "websocket", "Connection": "Upgrade", "X-Forwarded-For": "192.0.2.1"}
    plain, websocket = (live.get(where, host, asked).headers for where in ("/plain", "/ws"))
    assert plain["Seen-Host"] == plain["Seen-X-Forwarded-Host"] == host
    assert plain["Seen-X-Forwarded-For"] == "192.0.2.1, 127.0.0.1"
    assert plain["Seen-X-Real-IP"] == "127.0.0.1"
    assert (plain["Seen-X-Forwarded-Proto"], plain["Seen-X-Forwarded-Port"]) == ("http", "80")
    assert "Seen-Upgrade" not in plain and "Seen-Connection" not in plain
    assert (websocket["Seen-Upgrade"], websocket["Seen-Connection"]) == ("websocket", "upgrade")


def test_a_minion_inherits_the_largest_body_from_its_master(live: Live, tea: Backend) -> None:
    host = "sizes.example.com"
    expose(live, "sizes", tea.port)
    name = "nginx.org/client-max-body-size"
    live.api.put(master("sizes", host=host, annotations={name: "1k"}))
    live.api.put(minion("heir", "default", path("/heir", "sizes"), host=host))
    own = {name: "1m"}
    live.api.put(minion("own", "default", path("/own", "sizes"), host=host, annotations=own))
    accepted(live, "heir")
    accepted(live, "own")

    assert live.get("/heir", host, body=b"x" * 2000).status == 413
    assert live.get("/own", host, body=b"x" * 2000).status == 200


def test_tls_follows_its_secret(live: Live, tea: Backend, tmp_path: Path) -> None:
    host = "tls.example.com"
    expose(live, "secure", tea.port)
    certificate, key = make_certificate(tmp_path, host)
    live.api.put(tls_secret("pair", certificate, key))
    live.api.put(master("tls", host=host, tls=[{"hosts": [host], "secretName": "pair"}]))
    live.api.put(minion("secure", "default", path("/", "secure"), host=host))
    accepted(live, "secure")

    redirect = live.get("/a?b", host)
    assert (redirect.status, redirect.headers["Location"]) == (301, f"https://{host}/a?b")
    answer = live.get_tls("/a?b", host, certificate)
    assert answer.body == "tea /a?b"
    assert answer.headers["Seen-X-Forwarded-Proto"] == "https"
    assert answer.headers["Seen-X-Forwarded-Port"] == "443"
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        live.get_tls("/", "unknown.example.com", certificate)

    renewed, renewed_key = make_certificate(tmp_path, host)
    live.api.put(tls_secret("pair", renewed, renewed_key))
    eventually("the renewed certificate", lambda: _trusted(live, host, renewed))

    live.api.delete("Secret", "default", "pair")
    warning = (
        "Configuration for default/tls was added or updated with warning(s): TLS secret pair is "
        "invalid: there is no such secret of type kubernetes.io/tls"
    )
    told(live, "tls", "AddedOrUpdatedWithWarning", warning)
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        live.get_tls("/", host, renewed)
    assert live.get("/", host).status == 301
    assert not list((live.folder / "run" / "certificates").iterdir())


def _trusted(live: Live, host: str, certificate: bytes) -> bool:
    try:
        return live.get_tls("/", host, certificate).status == 200
    except ssl.SSLCertVerificationError:
        return False


class Looping(threading.Thread):
    """A client that asks again and again on one kept-alive connection.

    Like every HTTP client it asks again on a new connection when the server has closed the old one
    between two requests (RFC 9112, 9.3.1); everything else that is not a 200 is a failure.
    """

    def __init__(self, live: Live, host: str) -> None:
        super().__init__()
        self._port, self._host = live.http_port, host
        self._ending = threading.Event()
        self.bodies: set[str] = set()
        self.failures: list[str] = []
        self.answered = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        fresh = True
        while not self._ending.is_set():
            try:
                connection.request("GET", "/", headers={"Host": self._host})
                response = connection.getresponse()
                self.bodies.add(response.read().decode())
                if response.status != 200:
                    self.failures.append(f"status {response.status}")
                self.answered += 1
                fresh = response.will_close
            except (http.client.HTTPException, OSError) as error:
                if fresh:
                    self.failures.append(repr(error))
                connection.close()
                fresh = True
        connection.close()

    @contextmanager
    def looping(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self._ending.set()
            self.join()


def test_endpoints_change_without_a_lost_request(live: Live, tea: Backend, coffee: Backend) -> None:
    host = "change.example.com"
    expose(live, "change", tea.port)
    live.api.put(master("change", host=host))
    live.api.put(minion("change-app", "default", path("/", "change"), host=host))
    accepted(live, "change-app")

    client = Looping(live, host)
    first = _version(live)
    with client.looping(), ThreadPoolExecutor(1) as pool:
        slow = pool.submit(live.get, "/slow", host)
        assert tea.arrived.wait(PATIENCE_SECONDS)
        for turn in range(20):
            expose(live, "change", (coffee, tea)[turn % 2].port)
            reloaded(live, first + turn + 1)
        serving(live, "/", host, "tea /")
        tea.release.set()
        assert slow.result() == Answer(200, slow.result().headers, "tea /slow")
    assert _version(live) == first + 20
    assert client.failures == []
    assert client.bodies == {"tea /", "coffee /"}
    assert client.answered > 100


def reloaded(live: Live, version: int) -> None:
    eventually(f"version {version}", lambda: _version(live) >= version)


def _version(live: Live) -> int:
    found = re.search(r'return 200 "(\d+)"', live.config())
    assert found
    return int(found[1])


def test_what_changes_nothing_reloads_nothing(live: Live) -> None:
    before = _version(live)
    live.api.put(service("unrelated"))
    live.api.put(endpoint_slice("unrelated", 1))
    host = "unchanged.example.com"
    live.api.put(master("unchanged", host=host))
    eventually("the master's event", lambda: bool(live.api.messages("default", "unchanged")))
    assert _version(live) == before + 1


def test_no_ready_endpoint_is_a_502(live: Live, tea: Backend) -> None:
    host = "empty.example.com"
    live.api.put(service("empty"))
    live.api.put(master("empty", host=host))
    live.api.put(minion("empty-app", "default", path("/app/", "empty"), host=host))
    eventually("502", lambda: live.get("/app/", host).status == 502)
    assert live.get("/app", host).status == 301
    live.api.put(endpoint_slice("empty", tea.port))
    serving(live, "/app/", host, "tea /app/")


def test_an_invalid_minion_goes_and_the_others_stay(live: Live, tea: Backend) -> None:
    host = "invalid.example.com"
    expose(live, "invalid", tea.port)
    live.api.put(master("invalid", host=host))
    live.api.put(minion("good", "default", path("/good", "invalid"), host=host))
    live.api.put(minion("bad", "default", path("/bad", "invalid"), host=host))
    accepted(live, "good")
    accepted(live, "bad")
    assert live.get("/bad", host).body == "tea /bad"
    addressed(live, "bad", [{"ip": ADDRESS}])

    wrong = {"nginx.org/rewrites": "serviceName=nobody rewrite=/"}
    live.api.put(minion("bad", "default", path("/bad", "invalid"), host=host, annotations=wrong))
    text = (
        'annotations.nginx.org/rewrites: Invalid value: "serviceName=nobody rewrite=/": '
        "The following services were not found: nobody"
    )
    told(live, "bad", "Rejected", text)
    addressed(live, "bad", None)
    assert live.get("/bad", host).status == 404
    assert live.get("/good", host).body == "tea /good"


def test_what_nginx_refuses_leaves_the_last_good_and_other_hosts_go_on(
    live: Live, tea: Backend, coffee: Backend
) -> None:
    host, other = "refused.example.com", "accepted.example.com"
    expose(live, "refused", tea.port)
    live.api.put(master("refused", host=host))
    live.api.put(minion("root", "default", path("/", "refused"), host=host))
    accepted(live, "root")

    # An empty path and / are two paths, but one location.
    empty = path("", "refused", "ImplementationSpecific")
    live.api.put(minion("twice", "default", empty, path("/more", "refused"), host=host))
    for name in ("refused", "root", "twice"):
        text = (
            f"Configuration for default/{name} was added or updated; but was not applied: "
            'duplicate location "/"'
        )
        told(live, name, "AddedOrUpdatedWithError", text)
    assert live.get("/more", host).body == "tea /more"  # by the minion for /
    live.api.put(master("accepted", host=other))
    live.api.put(minion("accepted-app", "default", path("/x", "refused"), host=other))
    accepted(live, "accepted-app")
    assert live.get("/x", other).body == "tea /x"
    expose(live, "refused", coffee.port)
    serving(live, "/", host, "coffee /")

    live.api.delete("Ingress", "default", "twice")
    text = "Configuration for default/root was added or updated"
    eventually(text, lambda: _count(live, "default", "root", text) == 2)


def _count(live: Live, namespace: str, name: str, text: str) -> int:
    return sum(
        event["count"]
        for event in list(live.api.events.values())
        if event["message"] == text and event["involvedObject"]["name"] == name
    )


def test_a_host_goes_to_an_older_master_and_back(live: Live) -> None:
    host = "taken.example.com"
    live.api.put(master("younger", host=host))
    accepted(live, "younger")
    addressed(live, "younger", [{"ip": ADDRESS}])

    live.api.put(master("older", host=host, created="2029-01-01T00:00:00Z"))
    told(
        live,
        "younger",
        "Rejected",
        f"default/younger was rejected: with warning(s): host {host} is taken by another resource",
    )
    addressed(live, "younger", None)
    addressed(live, "older", [{"ip": ADDRESS}])
    live.api.put(master("third", host=host))
    told(live, "third", "Rejected", "All hosts are taken by other resources")

    live.api.delete("Ingress", "default", "older")
    addressed(live, "younger", [{"ip": ADDRESS}])
    assert live.api.status_patches.count("default/younger") == 3
    assert live.api.status_patches.count("default/older") == 1


def test_a_lost_watch_history_is_listed_anew(live: Live) -> None:
    host = "history.example.com"
    live.api.forget_history()
    live.api.put(master("history", host=host))
    eventually("the event", lambda: bool(live.api.messages("default", "history")))
    assert "410" in live.log()


def test_every_line_of_the_log_is_a_line(live: Live) -> None:
    ours = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING|ERROR) nginx_ingress\."
    nginxs = r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[|127\.0\.0\.1 - - \[|nginx: )"
    strays = [line for line in live.log().splitlines() if not re.match(f"{ours}|{nginxs}", line)]
    assert strays == []


def test_it_ends_when_told_after_the_requests_under_way(tmp_path: Path) -> None:
    host = "end.example.com"
    with backend("end") as slow, controller(tmp_path) as live:
        expose(live, "end", slow.port)
        live.api.put(master("end", host=host))
        live.api.put(minion("end-app", "default", path("/", "end"), host=host))
        accepted(live, "end-app")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(live.get, "/slow", host)
            assert slow.arrived.wait(PATIENCE_SECONDS)
            live.process.send_signal(signal.SIGTERM)
            eventually("not ready", lambda: live.health("/readyz") == 503)
            slow.release.set()
            assert answer.result().body == "end /slow"
        assert live.process.wait(PATIENCE_SECONDS) == 0
        with pytest.raises(ConnectionRefusedError):
            live.get("/", host)


def test_it_ends_when_its_nginx_ends(tmp_path: Path) -> None:
    with controller(tmp_path) as live:
        assert live.health("/livez") == 200
        os.kill(int((tmp_path / "run" / "nginx.pid").read_text()), signal.SIGTERM)
        assert live.process.wait(PATIENCE_SECONDS) == 1


def test_it_starts_where_another_was_killed(tmp_path: Path) -> None:
    with controller(tmp_path) as live:
        os.killpg(live.process.pid, signal.SIGKILL)
        live.process.wait(PATIENCE_SECONDS)
    assert (tmp_path / "run" / "status.sock").is_socket()
    with controller(tmp_path) as live:
        assert live.get("/").status == 404

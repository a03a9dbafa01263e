"""The controller with a real nginx: what clients see, and what the objects say."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import signal
import ssl
import stat
import threading
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import websocket

from ingress.tests.support.fake_api import FakeApi
from ingress.tests.support.live import (
    ADDRESS,
    PATIENCE_SECONDS,
    UNWELCOME,
    UNWELCOME_WORDS,
    Answer,
    Backend,
    Live,
    ask,
    backend,
    controller,
    deaf,
    eventually,
    full,
)
from ingress.tests.support.objects import (
    Document,
    endpoint_slice,
    ingress,
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
    """Wait until every connection meets an Ingress, and the endpoints that there are by now.

    A master whose secret has not come yet is not accepted, but its minions are.
    """
    text = f"Configuration for {namespace}/{name} was added or updated"
    told(live, name, "AddedOrUpdated", text, namespace)
    # Services and endpoints come by watches of their own, and may come later.
    without = rf'upstream "{namespace}-{name}-.*" {{\n.*\n +server 127\.0\.0\.1:1 down;'
    eventually("endpoints", lambda: not re.search(without, live.config()) and live.settled())


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


def test_tls_follows_its_secret(live: Live, tea: Backend) -> None:
    host = "tls.example.com"
    expose(live, "secure", tea.port)
    certificate, key = make_certificate(host)
    live.api.put(tls_secret("pair", certificate, key))
    live.api.put(master("tls", host=host, tls=[{"hosts": [host], "secretName": "pair"}]))
    live.api.put(minion("secure", "default", path("/", "secure"), host=host))
    accepted(live, "tls")
    accepted(live, "secure")

    redirect = live.get("/a?b", host)
    assert (redirect.status, redirect.headers["Location"]) == (301, f"https://{host}/a?b")
    answer = live.get_tls("/a?b", host, certificate)
    assert answer.body == "tea /a?b"
    assert answer.headers["Seen-X-Forwarded-Proto"] == "https"
    assert answer.headers["Seen-X-Forwarded-Port"] == "443"
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        live.get_tls("/", "unknown.example.com", certificate)

    renewed, renewed_key = make_certificate(host)
    live.api.put(tls_secret("pair", renewed, renewed_key))
    eventually("the renewed certificate", lambda: _trusted(live, host, renewed))

    live.api.delete("Secret", "default", "pair")
    warning = (
        "Configuration for default/tls was added or updated with warning(s): TLS secret pair is "
        "invalid: there is no such secret of type kubernetes.io/tls"
    )
    told(live, "tls", "AddedOrUpdatedWithWarning", warning)
    # That may have been told before, if the secret came after its master.
    certificates = live.folder / "run" / "certificates"
    eventually("no certificate", lambda: not list(certificates.iterdir()))
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        live.get_tls("/", host, renewed)
    assert live.get("/", host).status == 301


def test_each_host_has_the_certificate_of_its_own_master(live: Live, tea: Backend) -> None:
    expose(live, "many", tea.port, "gate")
    one, two, plain = (f"{name}.many.example.com" for name in ("one", "two", "plain"))
    pairs = {host: make_certificate(host) for host in (one, two)}
    for number, host in enumerate((one, two, plain)):
        name, tls = f"many-{number}", []
        if host in pairs:
            live.api.put(tls_secret(name, *pairs[host], namespace="gate"))
            tls = [{"hosts": [host], "secretName": name}]
        live.api.put(master(name, "gate", host=host, tls=tls))
        live.api.put(minion(f"{name}-app", "gate", path("/", "many"), host=host))
        accepted(live, name, "gate")
        accepted(live, f"{name}-app", "gate")

    for host, (certificate, _) in pairs.items():
        assert live.get_tls("/x", host, certificate).body == "tea /x"
        assert live.get("/x", host).status == 301
    assert live.get("/x", plain).body == "tea /x"
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        live.get_tls("/x", plain, pairs[one][0])
    # Who has come in by one host's certificate cannot ask for a host that has no TLS.
    connection = http.client.HTTPConnection("127.0.0.1", live.https_port, timeout=10)
    connection.sock = live.tls(one, pairs[one][0])
    assert ask(connection, "/x", plain).status == 404


def test_a_renewed_certificate_drops_no_connection(live: Live) -> None:
    host = "renewed.example.com"
    certificate, key = make_certificate(host)
    live.api.put(tls_secret("renewed", certificate, key))
    live.api.put(master("renewed", host=host, tls=[{"hosts": [host], "secretName": "renewed"}]))
    sockets = {"nginx.org/websocket-services": "renewed"}
    live.api.put(
        minion("renewed-app", "default", path("/", "renewed"), host=host, annotations=sockets)
    )
    with backend("renewed") as slow, ThreadPoolExecutor(1) as pool:
        expose(live, "renewed", slow.port)
        accepted(live, "renewed")
        accepted(live, "renewed-app")
        under_way = pool.submit(live.get_tls, "/slow", host, certificate)
        assert slow.arrived.wait(PATIENCE_SECONDS)
        with closing(live.websocket("/echo", host, certificate)) as socket:
            newer, newer_key = make_certificate(host)
            live.api.put(tls_secret("renewed", newer, newer_key))
            eventually("the newer certificate", lambda: _trusted(live, host, newer))
            eventually("nothing but it", live.settled)
            assert not _trusted(live, host, certificate)
            socket.send("still here")
            assert socket.recv() == "still here"
        slow.release.set()
        assert under_way.result().body == "renewed /slow"


def test_an_expired_certificate_is_served_all_the_same(live: Live) -> None:
    host = "expired.example.com"
    certificate, key = make_certificate(host, days=-1)
    live.api.put(tls_secret("expired", certificate, key))
    live.api.put(master("expired", host=host, tls=[{"hosts": [host], "secretName": "expired"}]))
    accepted(live, "expired")
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        live.get_tls("/", host, certificate)


def test_https_is_asked_for_as_the_master_says(live: Live, tea: Backend) -> None:
    host, proxied = "hsts.example.com", "proxied.example.com"
    certificate, key = make_certificate(host)
    expose(live, "hsts", tea.port)
    live.api.put(tls_secret("hsts", certificate, key))
    tls = [{"hosts": [host], "secretName": "hsts"}]
    hsts = {"nginx.org/hsts": "true", "nginx.org/hsts-max-age": "60"}
    code = {"nginx.org/http-redirect-code": "308"}
    live.api.put(master("hsts", host=host, tls=tls, annotations=hsts | code))
    live.api.put(minion("hsts-app", "default", path("/", "hsts"), host=host))
    behind = {"nginx.org/hsts-behind-proxy": "true", "nginx.org/redirect-to-https": "true"}
    live.api.put(master("proxied", host=proxied, annotations=hsts | behind))
    live.api.put(minion("proxied-app", "default", path("/", "hsts"), host=proxied))
    accepted(live, "hsts")
    accepted(live, "hsts-app")
    accepted(live, "proxied-app")

    name = "Strict-Transport-Security"
    assert live.get_tls("/", host, certificate).headers[name] == "max-age=60; preload"
    redirect = live.get("/a?b", host)
    assert (redirect.status, redirect.headers["Location"]) == (308, f"https://{host}/a?b")
    assert name not in redirect.headers

    secure = live.get("/a", proxied, {"X-Forwarded-Proto": "https"})
    assert (secure.status, secure.headers[name]) == (200, "max-age=60; preload")
    assert secure.headers["Seen-X-Forwarded-Proto"] == "https"
    redirect = live.get("/a?b", proxied, {"X-Forwarded-Proto": "http"})
    assert (redirect.status, redirect.headers["Location"]) == (301, f"https://{proxied}/a?b")
    direct = live.get("/a", proxied)
    assert direct.status == 200
    assert name not in direct.headers


def test_a_websocket_lives_as_long_as_the_read_timeout_lets_it(live: Live, tea: Backend) -> None:
    host = "socket.example.com"
    for name in ("patient", "hasty", "plain"):
        expose(live, name, tea.port)
    live.api.put(master("socket", host=host))
    rewrites = {name: f"serviceName={name} rewrite=/" for name in ("patient", "hasty", "plain")}
    sockets = {name: {"nginx.org/websocket-services": name} for name in ("patient", "hasty")}
    timeouts = {"hasty": {"nginx.org/proxy-read-timeout": "700ms"}}
    for name, rewrite in rewrites.items():
        annotations = {
            "nginx.org/rewrites": rewrite,
            **sockets.get(name, {}),
            **timeouts.get(name, {}),
        }
        live.api.put(
            minion(name, "default", path(f"/{name}/", name), host=host, annotations=annotations)
        )
        accepted(live, name)

    with (
        closing(live.websocket("/patient/echo", host)) as patient,
        closing(live.websocket("/hasty/echo", host)) as hasty,
    ):
        for each in (patient, hasty):
            each.send("hello")
            assert each.recv() == "hello"
        # Nothing is sent for longer than the one's timeout, which ends it, and it alone.
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            hasty.recv()
        patient.send("again")
        assert patient.recv() == "again"
    with pytest.raises(websocket.WebSocketBadStatusException):
        live.websocket("/plain/echo", host)


def test_timeouts_are_those_of_the_minion(live: Live) -> None:
    host = "timeouts.example.com"
    live.api.put(master("timeouts", host=host))
    with backend("late") as late, deaf() as deaf_port, full() as full_port:
        for kind, where, port in (
            ("read", "/slow", late.port),
            ("send", "/send", deaf_port),
            ("connect", "/connect", full_port),
        ):
            expose(live, f"late-{kind}", port)
            given = {
                f"nginx.org/proxy-{kind}-timeout": "700ms",
                "nginx.org/client-max-body-size": "0",
            }
            route = path(where, f"late-{kind}")
            live.api.put(minion(kind, "default", route, host=host, annotations=given))
            accepted(live, kind)
            started = time.monotonic()
            body = bytes(2**25) if kind == "send" else None
            assert live.get(where, host, body=body).status == 504
            assert 0.6 < time.monotonic() - started < 5


UPLOAD_MEBIBYTES = 200


def test_a_large_upload_waits_in_the_folder_that_may_be_written_to(
    live: Live, tea: Backend
) -> None:
    host = "upload.example.com"
    expose(live, "upload", tea.port)
    live.api.put(master("upload", host=host))
    size = {"nginx.org/client-max-body-size": f"{UPLOAD_MEBIBYTES}m"}
    live.api.put(minion("upload-app", "default", path("/", "upload"), host=host, annotations=size))
    accepted(live, "upload-app")

    block, sum_ = os.urandom(2**20), hashlib.sha256()
    waiting: list[tuple[str, int]] = []

    def is_waiting() -> bool:
        waiting[:] = _files(live)
        return any(size > (UPLOAD_MEBIBYTES - 2) * 2**20 for _, size in waiting)

    def parts() -> Iterator[bytes]:
        for number in range(UPLOAD_MEBIBYTES):
            if number == UPLOAD_MEBIBYTES - 1:
                eventually("the rest is in a file", is_waiting)
            part = number.to_bytes(4, "big") + block[4:]
            sum_.update(part)
            yield part

    length = {"Content-Length": str(UPLOAD_MEBIBYTES * 2**20)}
    answer = live.get("/", host, length, body=parts())
    assert (answer.status, answer.body) == (200, "tea /")
    assert answer.headers["Seen-Digest"] == sum_.hexdigest()
    run_dir = str(live.folder / "run")
    assert {name.startswith(f"{run_dir}/body/") for name, _ in waiting} == {True}
    assert _files(live) == []
    too_large = {"Content-Length": str(UPLOAD_MEBIBYTES * 2**20 + 1)}
    assert live.get("/", host, too_large, body=[b""]).status == 413


def _files(live: Live) -> list[tuple[str, int]]:
    """Name and size of the files of some size that nginx's workers have open."""
    found = []
    for descriptor in (each for worker in live.workers() for each in (worker / "fd").iterdir()):
        with suppress(FileNotFoundError):
            status = descriptor.stat()
            if stat.S_ISREG(status.st_mode) and status.st_size > 2**20:
                found.append((str(descriptor.readlink()), status.st_size))
    return found


def test_answers_go_on_as_they_come_unless_they_are_to_be_buffered(live: Live) -> None:
    host = "stream.example.com"
    live.api.put(master("stream", host=host))
    buffered = {"nginx.org/proxy-buffering": "true"}
    with backend("stream") as stream:
        expose(live, "stream", stream.port)
        rewrite = {"nginx.org/rewrites": "serviceName=stream rewrite=/"}
        for name, said in (("now", rewrite), ("later", {**rewrite, **buffered})):
            one = path(f"/{name}/", "stream")
            live.api.put(minion(name, "default", one, host=host, annotations=said))
        accepted(live, "now")
        accepted(live, "later")
        with live.opened("/now/halves", host) as halves:
            assert halves.read(3) == b"str"
            stream.release.set()
            assert halves.read() == b"eam /halves"
        for where in ("/now/events", "/later/events?no"):
            stream.release.clear()
            with live.opened(where, host) as events:
                assert events.read(9) == b"data: 1\n\n"
                stream.release.set()
                assert events.read() == b"data: 2\n\n"
        for where in ("/later/events", "/now/events?yes"):
            stream.release.clear()
            threading.Timer(0.5, stream.release.set).start()
            with live.opened(where, host) as events:
                assert stream.release.is_set()
                assert events.read() == b"data: 1\n\ndata: 2\n\n"


def test_heads_may_be_as_large_as_cookies_make_them(live: Live, tea: Backend) -> None:
    host = "cookies.example.com"
    expose(live, "tea", tea.port)
    live.api.put(master("cookies", host=host))
    large = {"nginx.org/proxy-buffer-size": "64k", "nginx.org/proxy-buffers": "4 64k"}
    rewrite = {"nginx.org/rewrites": "serviceName=tea rewrite=/"}
    for name, said in (("usual", rewrite), ("large", {**rewrite, **large})):
        one = path(f"/{name}/", "tea")
        live.api.put(minion(name, "default", one, host=host, annotations=said))
    accepted(live, "usual")
    accepted(live, "large")
    cookie = live.get("/usual/head?12000", host).headers["Set-Cookie"]
    assert cookie == "x" * 12_000
    assert live.get("/usual/head?32000", host).status == 200
    assert live.get("/usual/head?60000", host).status == 502
    assert "upstream sent too big header" in live.log()
    assert live.get("/large/head?60000", host).status == 200
    # What a service has set, a browser sends with each request from then on.
    assert live.get("/usual/head?1", host, {"Cookie": f"a={cookie}"}).status == 200
    assert live.get("/usual/head?1", host, {"Cookie": "x" * 60_000}).status == 200


def test_a_service_is_told_what_is_in_front_of_it_by_nobody_else(live: Live, tea: Backend) -> None:
    host = "front.example.com"
    expose(live, "tea", tea.port)
    live.api.put(master("front", host=host))
    said = {
        "nginx.org/rewrites": "serviceName=tea rewrite=/",
        "nginx.org/proxy-set-headers": "X-Forwarded-Prefix: /front,X-Kept,Host: other.test",
    }
    live.api.put(minion("told", "default", path("/front/", "tea"), host=host, annotations=said))
    live.api.put(minion("untold", "default", path("/plain/", "tea"), host=host))
    accepted(live, "told")
    accepted(live, "untold")
    sent = {"X-Forwarded-Prefix": "/forged", "X-Kept": "kept"}
    told, untold = (live.get(where, host, sent).headers for where in ("/front/", "/plain/"))
    seen = ("Seen-X-Forwarded-Prefix", "Seen-X-Kept", "Seen-Host")
    assert [told.get(name) for name in seen] == ["/front", "kept", "other.test"]
    assert [untold.get(name) for name in seen] == [None, "kept", host]


REDIRECTS = {
    "/login": "/caf%C3%A9/login",
    "/": "/caf%C3%A9/",
    "/a?next=/b#c": "/caf%C3%A9/a?next=/b#c",
    "http://redirects.example.com/login": "/caf%C3%A9/login",
    "https://redirects.example.com:443/login": "/caf%C3%A9/login",
    "/caf%C3%A9s/": "/caf%C3%A9/caf%C3%A9s/",
    # The service knows what is in front of it, or means something else.
    "/caf%C3%A9/login": None,
    "/caf%C3%A9": None,
    "https://redirects.example.com/caf%C3%A9?x": None,
    "//other.example.com/login": None,
    "http://other.example.com/login": None,
    "http://redirects.example.com.evil.test/login": None,
    "http://redirectsXexample.com/login": None,
    "http://redirects.example.com:9090/login": None,
    "login": None,
    "?x": None,
}
"""Where a service sends its clients, and where they are sent; None for the very same."""


def test_redirects_get_back_what_a_rewrite_takes_off(live: Live, tea: Backend) -> None:
    host = "redirects.example.com"
    expose(live, "tea", tea.port)
    live.api.put(master("redirects", host=host))
    rewrite = {"nginx.org/rewrites": "serviceName=tea rewrite=/"}
    put_right = {**rewrite, "slipway.internal/rewrite-redirects": "true"}
    for name, where, said in (("right", "café", put_right), ("as-is", "plain", rewrite)):
        one = path(f"/{where}/", "tea")
        live.api.put(minion(name, "default", one, host=host, annotations=said))
    accepted(live, "right")
    accepted(live, "as-is")

    def sent_to(where: str, target: str) -> str:
        asked = urllib.parse.quote(target, safe="")
        return live.get(f"/{where}/to?{asked}", host).headers["Location"]

    assert {target: sent_to("caf%C3%A9", target) for target in REDIRECTS} == {
        target: found or target for target, found in REDIRECTS.items()
    }
    assert sent_to("plain", "/login") == "/login"


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
    first = live.version()
    with client.looping(), ThreadPoolExecutor(1) as pool:
        slow = pool.submit(live.get, "/slow", host)
        assert tea.arrived.wait(PATIENCE_SECONDS)
        for turn in range(20):
            expose(live, "change", (coffee, tea)[turn % 2].port)
            reloaded(live, first + turn + 1)
        serving(live, "/", host, "tea /")
        tea.release.set()
        assert slow.result() == Answer(200, slow.result().headers, "tea /slow")
    assert live.version() == first + 20
    assert client.failures == []
    assert client.bodies == {"tea /", "coffee /"}
    assert client.answered > 50


def reloaded(live: Live, version: int) -> None:
    eventually(f"version {version}", lambda: live.version() >= version)


def test_what_changes_nothing_reloads_nothing(live: Live) -> None:
    before = live.version()
    live.api.put(service("unrelated"))
    live.api.put(endpoint_slice("unrelated", 1))
    host = "unchanged.example.com"
    live.api.put(master("unchanged", host=host))
    eventually("the master's event", lambda: bool(live.api.messages("default", "unchanged")))
    assert live.version() == before + 1


def test_no_ready_endpoint_is_a_502(live: Live, tea: Backend) -> None:
    host = "empty.example.com"
    live.api.put(service("empty"))
    live.api.put(master("empty", host=host))
    live.api.put(minion("empty-app", "default", path("/app/", "empty"), host=host))
    eventually("502", lambda: live.get("/app/", host).status == 502 and live.settled())
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


def test_what_nginx_refuses_is_refused_alone(live: Live, tea: Backend, coffee: Backend) -> None:
    host, other = "refused.example.com", "accepted.example.com"
    expose(live, "refused", tea.port)
    live.api.put(master("refused", host=host))
    live.api.put(minion("root", "default", path("/", "refused"), host=host))
    accepted(live, "root")

    live.api.put(minion("unwelcome", "default", path(f"/{UNWELCOME}", "refused"), host=host))
    told(live, "unwelcome", "AddedOrUpdatedWithError", not_applied("unwelcome", UNWELCOME_WORDS))
    # A regular Ingress may have a path twice as far as this controller is concerned.
    twice = [path("/x", "refused"), path("/x", "refused")]
    live.api.put(ingress("twice", host="twice.example.com", paths=twice))
    told(live, "twice", "AddedOrUpdatedWithError", not_applied("twice", 'duplicate location "/x"'))
    addressed(live, "twice", None)
    assert live.get("/more", host).body == "tea /more"

    live.api.put(master("accepted", host=other))
    live.api.put(minion("accepted-app", "default", path("/x", "refused"), host=other))
    accepted(live, "accepted-app")
    assert live.get("/x", other).body == "tea /x"
    live.api.put(minion("late", "default", path("/late/", "refused"), host=host))
    accepted(live, "late")
    expose(live, "refused", coffee.port)
    serving(live, "/", host, "coffee /")

    live.api.put(minion("unwelcome", "default", path("/welcome", "refused"), host=host))
    accepted(live, "unwelcome")
    addressed(live, "unwelcome", [{"ip": ADDRESS}])
    for name in ("unwelcome", "twice"):
        live.api.delete("Ingress", "default", name)


def not_applied(name: str, words: str) -> str:
    return f"Configuration for default/{name} was added or updated; but was not applied: {words}"


NASTY_PATHS = {
    "repeated": "/x{4294967295}",
    "brackets": "/" + "(" * 3000,
    "sets": "/" + "[" * 900,
    "long": "/" + "x" * 5000,
    "control": "/a\x00b",
    "surrogate": "/\ud800",
    "unwelcome": f"/{UNWELCOME}",
}
MALFORMED: dict[str, Document] = {
    "rules": {"rules": None},
    "rule": {"rules": [7]},
    "paths": {"rules": [{"host": "a.example.com", "http": {"paths": "many"}}]},
    "backend": {"rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/"}]}}]},
    "host": {"rules": [{"host": ["a"]}]},
    "entry": {"rules": [{"host": "a.example.com"}], "tls": [{"hosts": 7}]},
}


def nasty(host: str) -> dict[str, Document]:
    """Ingresses none of which is right, by their names."""
    blanks = {"nginx.org/proxy-read-timeout": f"1s{' ' * 40}x"}
    odd: dict[str, Any] = {"nginx.org/hsts": 7}
    documents = [
        *(minion(name, "default", path(text), host=host) for name, text in NASTY_PATHS.items()),
        *(
            {**minion(name), "spec": {"ingressClassName": "nginx", **spec}}
            for name, spec in MALFORMED.items()
        ),
        minion("blanks", "default", path("/b"), host=host, annotations=blanks),
        minion("numbers", "default", path("/n"), host=host, annotations=odd),
    ]
    return {document["metadata"]["name"]: document for document in documents}


def refused(live: Live) -> set[str]:
    """The Ingresses that have been told that they are not served."""
    reasons = {"Rejected", "AddedOrUpdatedWithError"}
    events = list(live.api.events.values())
    return {each["involvedObject"]["name"] for each in events if each["reason"] in reasons}


def test_nasty_ingresses_stop_nobody_nor_a_restart(tmp_path: Path, tea: Backend) -> None:
    host, api = "nasty.example.com", FakeApi()
    for document in nasty(host).values():
        api.put(document)
    with controller(tmp_path, api) as live:
        expose(live, "tea", tea.port)
        live.api.put(master("nasty", host=host))
        live.api.put(minion("root", "default", path("/"), host=host))
        empty = path("", path_type="ImplementationSpecific")
        live.api.put(minion("empty", "default", empty, path("/good/"), host=host))
        serving(live, "/good/", host, "tea /good/")
        serving(live, "/", host, "tea /")
        eventually("all are told", lambda: refused(live) == nasty(host).keys())
        os.killpg(live.process.pid, signal.SIGKILL)
        live.process.wait(PATIENCE_SECONDS)
    with controller(tmp_path, api, live.ports) as live:
        serving(live, "/good/", host, "tea /good/")
        for name in nasty(host):
            live.api.delete("Ingress", "default", name)
        live.api.put(minion("repeated", "default", path("/mended/"), host=host))
        accepted(live, "repeated")
        assert live.get("/mended/", host).body == "tea /mended/"


def test_what_was_served_is_served_again_before_the_cluster_is_read(
    tmp_path: Path, tea: Backend
) -> None:
    host = "before.example.com"
    with controller(tmp_path) as live:
        expose(live, "tea", tea.port)
        live.api.put(master("before", host=host))
        live.api.put(minion("app", "default", path("/"), host=host))
        accepted(live, "app")
        os.killpg(live.process.pid, signal.SIGKILL)
        live.process.wait(PATIENCE_SECONDS)
    api = FakeApi()
    api.answering.clear()
    with controller(tmp_path, api, live.ports) as live:
        assert live.get("/", host).body == "tea /"
        api.answering.set()
        eventually("the cluster is read", lambda: live.get("/", host).status == 404)


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

"""The routes of apps as Slipway's own ingress controller and a real nginx serve them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import websocket
from msgspec import structs

from ingress.tests.support.live import Backend, Live, backend, controller, eventually
from ingress.tests.support.objects import endpoint_slice
from slipway.apps import verify
from slipway.apps.app import App, Built
from slipway.apps.manifests.labels import ROUTES_NAMESPACE
from slipway.apps.manifests.render import render
from slipway.apps.manifests.routes import certificate, hosts, master, tls_of
from slipway.apps.verify import Proof, prove
from slipway.certificates import Authority
from slipway.kube.client import Kube
from tests.support.apps import built, reason

SHOP, DEMO = "shop.slipway.test", "demo.slipway.test"
MEGABYTES = 2**20


def app(name: str, host: str, tls: str | None, **settings: Any) -> Built:
    """An app that is rewritten to ``/`` and answers with its name."""
    made = built(name)
    assert made.ingress
    [rule] = made.rules
    rules = [structs.replace(rule, host=host, tls=tls, expect=f"{name} /")]
    return structs.replace(made, ingress=structs.replace(made.ingress, rules=rules, **settings))


@dataclass
class Cluster:
    """The controller, the apps that it serves, and the authority of their hosts."""

    live: Live
    kube: Kube
    backends: dict[str, Backend]
    folder: Path

    def serve(self, *apps: Built) -> None:
        """Have the objects of these apps in the cluster, and wait until they are served."""
        authority = Authority.keep(self.folder / "ca")
        secure = tls_of(apps)
        for host in secure:
            self.live.api.put(certificate(host, authority.issue(host)))
        for host in hosts(apps):
            self.live.api.put(master(host, "nginx", tls=host in secure))
        for made in apps:
            for obj in render(made, "nginx"):
                if obj["kind"] in ("Service", "Ingress"):
                    self.live.api.put(obj)
            port = self.backends[made.name].port
            self.live.api.put(endpoint_slice(made.name, port, made.namespace))
        eventually("every endpoint is known", self._complete)

    def _complete(self) -> bool:
        ports = [f"127.0.0.1:{each.port}" for each in self.backends.values()]
        return all(port in self.live.config() for port in ports) and self.live.settled()

    def prove(self, *apps: App) -> Proof:
        return prove(
            self.kube,
            apps,
            secrets={},
            ca_dir=self.folder / "ca",
            address=f"127.0.0.1:{self.live.http_port}",
            seconds=10,
        )

    @property
    def root(self) -> bytes:
        return Authority.keep(self.folder / "ca").root.encode()


APPS = [
    app("orders", SHOP, "local-ca", websocket=True, max_body_size="50m", timeout="10m"),
    app("quotes", DEMO, None),
]
ORDERS, QUOTES = (each.rules[0].path for each in APPS)


@pytest.fixture
def cluster(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A controller that serves the two apps on their hosts."""
    with controller(tmp_path) as live, backend("orders") as orders, backend("quotes") as quotes:
        monkeypatch.setattr(verify, "HTTPS_PORT", live.https_port)
        found = Cluster(live, kube, {"orders": orders, "quotes": quotes}, tmp_path)
        found.serve(*APPS)
        yield found


def test_routes_answer_as_apps_yml_has_them(cluster: Cluster) -> None:
    proof = cluster.prove(*APPS)
    assert proof.problems() == []
    assert [line.split()[4] for line in proof.table[1:]] == [
        f"https://{SHOP}{ORDERS}",
        f"http://{DEMO}{QUOTES}",
    ]
    live = cluster.live
    assert live.get_tls(ORDERS, SHOP, cluster.root).body == "orders /"
    redirect = live.get(ORDERS, SHOP)
    assert (redirect.status, redirect.headers["Location"]) == (301, f"https://{SHOP}{ORDERS}")
    assert live.get(QUOTES, DEMO).body == "quotes /"
    assert live.get(QUOTES, DEMO).headers["Seen-X-Forwarded-Prefix"] == QUOTES.removesuffix("/")
    # No host has what is another one's.
    assert live.get(ORDERS, DEMO).status == 404
    assert live.get_tls(QUOTES, SHOP, cluster.root).status == 404
    with pytest.raises(ssl.SSLCertVerificationError):
        live.tls(SHOP, Authority.make().root.encode())

    # Each app has its own limit of a request, and its own word on WebSockets.
    large = b"x" * (20 * MEGABYTES)
    assert live.get(QUOTES, DEMO, body=large).status == 413
    with closing(live.websocket(f"{ORDERS}echo", SHOP, cluster.root)) as opened:
        opened.send("ahoy")
        assert opened.recv() == "ahoy"
    with pytest.raises(websocket.WebSocketBadStatusException):
        live.websocket(f"{QUOTES}echo", DEMO)


def test_a_limit_lets_through_what_is_below_it(cluster: Cluster) -> None:
    large = b"x" * (20 * MEGABYTES)
    plain = app("orders", SHOP, None, max_body_size="50m")
    cluster.serve(plain, APPS[1])
    eventually("no redirect", lambda: cluster.live.get(ORDERS, SHOP).status == 200)
    eventually("settled", cluster.live.settled)
    assert cluster.live.get(ORDERS, SHOP, body=large).status == 200


def test_heads_and_redirects_are_as_apps_yml_has_them(cluster: Cluster) -> None:
    live, login = cluster.live, "to?/login"
    assert live.get(f"{QUOTES}head?60000", DEMO).status == 502
    assert live.get(f"{QUOTES}{login}", DEMO).headers["Location"] == "/login"
    cluster.serve(APPS[0], app("quotes", DEMO, None, max_header_size="64k", rewrite_redirects=True))
    eventually("larger", lambda: live.get(f"{QUOTES}head?60000", DEMO).status == 200)
    assert live.get(f"{QUOTES}{login}", DEMO).headers["Location"] == f"{QUOTES}login"


def test_letters_beyond_ascii_are_served(cluster: Cluster) -> None:
    plain = app("orders", SHOP, None)
    assert plain.ingress
    rules = [
        structs.replace(plain.rules[0], path="/caf%C3%A9/", rewrite="/%C3%A9%20/", expect=None),
        structs.replace(plain.rules[0], path="/men%C3%BC/a", rewrite=None, expect=None),
    ]
    served = structs.replace(plain, ingress=structs.replace(plain.ingress, rules=rules))
    cluster.serve(served, APPS[1])
    live = cluster.live
    eventually("served", lambda: live.get("/caf%C3%A9/", SHOP).status == 200)
    eventually("settled", live.settled)
    assert cluster.prove(served).problems() == []
    assert live.get("/caf%c3%a9/th%C3%A9?a=b", SHOP).body == "orders /%C3%A9%20/th%C3%A9?a=b"
    assert live.get("/men%C3%BC/a", SHOP).body == "orders /men%C3%BC/a"


def test_a_certificate_that_left_the_cluster_is_told(cluster: Cluster) -> None:
    live = cluster.live
    before = live.config().count("ssl_reject_handshake on")
    live.api.delete("Secret", ROUTES_NAMESPACE, SHOP)
    eventually("refused", lambda: live.config().count("ssl_reject_handshake on") > before)
    eventually("settled", live.settled)
    orders, quotes = cluster.prove(*APPS).apps
    assert not quotes.failed
    assert reason(orders).startswith(f"https://{SHOP}{ORDERS}: no answer from 127.0.0")

"""Routes on two hosts, one of them with a certificate of the local authority."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import websocket
import yaml

from slipway.apps.manifests.labels import ROUTES_NAMESPACE
from slipway.apps.manifests.routes import MERGEABLE
from slipway.certificates import ROOT_FILE
from slipway.kube.client import INGRESSES, NAMESPACES, SECRETS, Object
from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import INGRESS, Run, Scenario, wait_for

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY server.py /
ENTRYPOINT ["python3", "-u", "/server.py"]
"""

SERVER = '''\
"""Says how much it was sent, and sends back what comes over a WebSocket."""

import base64
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/echo" and "Upgrade" in self.headers:
            self.echo()
        else:
            self.do_POST()

    def do_POST(self):
        left = length = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        body = f"open, {length} bytes".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def echo(self):
        """RFC 6455, as far as messages of less than 126 bytes go."""
        salted = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(salted.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        while head := self.rfile.read(2):
            length = head[1] & 0x7F
            mask = self.rfile.read(4)
            text = self.rfile.read(length)
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
            self.wfile.write(bytes((head[0], length)) + text)


ThreadingHTTPServer(("", 8080), Handler).serve_forever()
'''

SECURE, PLAIN = "doors.slipway.test", "plain.slipway.test"
TWENTY_MEGABYTES = b"x" * (20 << 20)


@dataclass(frozen=True)
class Doors:
    """The cluster with an app on each of two hosts, and how it came to be so."""

    scenario: Scenario
    apps_file: Path
    folder: Path
    address: str

    def run(self, apps_file: Path) -> Run:
        run = self.scenario.play(
            "playbooks/apps.yml",
            slipway_apps_file=apps_file,
            slipway_ca_dir=self.folder / "ca",
            slipway_hosts_file=self.folder / "hosts",
        )
        assert run.code == 0, str(run)
        return run

    def connect(self, host: str, *, secure: bool) -> socket.socket:
        """A connection as a browser opens it that trusts the authority, and nobody else."""
        opened = socket.create_connection((self.address, 443 if secure else 80), timeout=30)
        if not secure:
            return opened
        context = ssl.create_default_context(cafile=self.folder / "ca" / ROOT_FILE)
        return context.wrap_socket(opened, server_hostname=host)

    def ask(
        self, host: str, path: str, *, secure: bool, body: bytes | None = None
    ) -> tuple[int, str, str]:
        """Status, place to go to, and text of an answer."""
        connection = http.client.HTTPConnection(self.address)
        connection.sock = self.connect(host, secure=secure)
        with closing(connection):
            connection.request("POST" if body else "GET", path, body, {"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Location", ""), answer.read().decode()

    def masters(self) -> dict[str, str]:
        """The UID of each host's master."""
        found = self.scenario.kube.list(INGRESSES, namespace=ROUTES_NAMESPACE).items
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in found}

    def without(self, *names: str, tls: bool = True) -> Path:
        """The apps without some of them, and without certificates if wanted."""
        content = yaml.safe_load(self.apps_file.read_text())
        content["apps"] = [app for app in content["apps"] if app["name"] not in names]
        if not tls:
            del content["hosts"]
        path = self.apps_file.with_name("fewer.yml")
        path.write_text(yaml.safe_dump(content))
        return path


@pytest.fixture(scope="module")
def doors(
    scenario: Scenario, apps_file: AppsFile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Doors]:
    """The apps, deployed; afterwards the apps are made what they were."""
    source = apps_file.repository("doors", {"Dockerfile": DOCKERFILE, "server.py": SERVER})
    path = apps_file.changed(lambda apps: _add(apps, source))
    content = {**yaml.safe_load(path.read_text()), "hosts": {SECURE: {"tls": "local-ca"}}}
    path.write_text(yaml.safe_dump(content))
    folder = tmp_path_factory.mktemp("doors")
    (folder / "hosts").write_text("127.0.0.1 localhost\n")
    found = Doors(scenario, path, folder, scenario.ingress_address())
    found.run(path)
    yield found
    run = scenario.deploy(scenario.apps_file)
    assert run.code == 0, str(run)


def _add(apps: Apps, source: str) -> None:
    """Two apps of one repository: one with a host, rights and room of its own, one without."""
    more = {"websocket": True, "max_body_size": "50m"}
    for name, host, settings in (("doors", SECURE, more), ("strict", PLAIN, {})):
        rule = {"path": f"/{name}/", "rewrite": "/", "expect": "open, 0 bytes"}
        ingress = {"host": host, "rules": [rule], **settings}
        apps.append({"name": name, "git_url": source, "build": "buildx", "ingress": ingress})


def test_each_host_serves_its_own_app_over_what_it_is_to(doors: Doors) -> None:
    assert doors.ask(SECURE, "/doors/", secure=True) == (200, "", "open, 0 bytes")
    assert doors.ask(SECURE, "/doors/", secure=False)[:2] == (301, f"https://{SECURE}/doors/")
    assert doors.ask(PLAIN, "/strict/", secure=False) == (200, "", "open, 0 bytes")
    assert doors.ask(SECURE, "/strict/", secure=True)[0] == 404
    assert doors.ask(PLAIN, "/doors/", secure=False)[0] == 404
    with pytest.raises(ssl.SSLError):
        doors.connect(PLAIN, secure=True)


def test_each_app_has_its_own_limit_of_a_request(doors: Doors) -> None:
    sent = doors.ask(SECURE, "/doors/", secure=True, body=TWENTY_MEGABYTES)
    assert sent == (200, "", f"open, {len(TWENTY_MEGABYTES)} bytes")
    assert doors.ask(PLAIN, "/strict/", secure=False, body=TWENTY_MEGABYTES)[0] == 413


def test_websockets_are_for_apps_that_say_so(doors: Doors) -> None:
    with closing(
        websocket.create_connection(
            f"ws://{SECURE}/doors/echo", timeout=30, socket=doors.connect(SECURE, secure=True)
        )
    ) as opened:
        opened.send("ahoy")
        assert opened.recv() == "ahoy"
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(
            f"ws://{PLAIN}/strict/echo", timeout=30, socket=doors.connect(PLAIN, secure=False)
        )


def test_another_run_makes_no_certificate_anew(doors: Doors) -> None:
    before = doors.scenario.kube.get(SECRETS, SECURE, ROUTES_NAMESPACE)
    run = doors.run(doors.apps_file)
    assert set(run.changed.values()) == {0}, str(run)
    assert f"https://{SECURE}/doors/" in run.output
    assert doors.scenario.kube.get(SECRETS, SECURE, ROUTES_NAMESPACE) == before


def test_the_master_of_a_host_outlives_its_certificate_and_its_other_apps(doors: Doors) -> None:
    before = doors.masters()
    doors.run(doors.without("strict", "quotes", tls=False))
    after = doors.masters()
    assert {host: before[host] for host in after} == after
    assert before.keys() - after.keys() == {PLAIN}
    assert doors.ask(SECURE, "/doors/", secure=False)[0] == 200
    assert doors.scenario.kube.get(SECRETS, SECURE, ROUTES_NAMESPACE) is None
    doors.run(doors.apps_file)
    assert doors.masters()[SECURE] == before[SECURE]
    assert doors.ask(SECURE, "/doors/", secure=True)[0] == 200


NASTY = {
    "repeated": "/x{4294967295}",
    "brackets": "/" + "(" * 3000,
    "long": "/" + "x" * 5000,
    "root": "/",
    "empty": "",
}
"""Paths of Ingresses that no Ingress should have, and two that want the same."""


@pytest.fixture
def nasty(doors: Doors) -> Iterator[list[str]]:
    """Such Ingresses on the host of an app, in a namespace of their own; gives what is refused."""
    kube, namespace = doors.scenario.kube, "nasty"
    kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
    )
    blanks = {"nginx.org/proxy-read-timeout": f"1s{' ' * 40}x"}
    try:
        for name, path in NASTY.items():
            kube.apply(_nasty_minion(namespace, name, path, {}))
        kube.apply(_nasty_minion(namespace, "blanks", "/b", blanks))
        yield ["blanks", "brackets", "long", "repeated"]
    finally:
        kube.delete(NAMESPACES, namespace)


def _nasty_minion(namespace: str, name: str, path: str, annotations: dict[str, str]) -> Object:
    backend = {"service": {"name": name, "port": {"number": 80}}}
    rule = {"path": path, "pathType": "ImplementationSpecific", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {MERGEABLE: "minion", **annotations},
        },
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": PLAIN, "http": {"paths": [rule]}}],
        },
    }


def test_nasty_ingresses_stop_no_route_nor_a_new_controller(doors: Doors, nasty: list[str]) -> None:
    scenario = doors.scenario

    def refused() -> list[str]:
        fields = "reason=Rejected,involvedObject.kind=Ingress"
        events = json.loads(
            scenario.kubectl(
                *("get", "events", "--namespace", "nasty", "--field-selector", fields),
                *("--output", "json"),
            )
        )
        return sorted({each["involvedObject"]["name"] for each in events["items"]})

    def wrong() -> object:
        return scenario.wrong_routes() or doors.ask(PLAIN, "/strict/", secure=False)[0]

    assert wait_for(refused, lambda names: names == nasty) == nasty
    assert wrong() == 200
    # The container alone, which finds in its volume what it served, and then the whole pod.
    scenario.python_in_pod(INGRESS[1], f"deployment/{INGRESS[0]}", "import os; os.kill(1, 15)")
    wait_for(wrong, lambda answer: answer == 200)
    of_deployment = ("--namespace", INGRESS[1], "rollout")
    scenario.kubectl(*of_deployment, "restart", f"deployment/{INGRESS[0]}")
    scenario.kubectl(*of_deployment, "status", f"deployment/{INGRESS[0]}", "--timeout=120s")
    assert wrong() == 200


def test_the_hosts_file_has_every_host_and_is_otherwise_as_it_was(doors: Doors) -> None:
    first, begin, line, end = (doors.folder / "hosts").read_text().splitlines()
    assert first == "127.0.0.1 localhost"
    assert begin.startswith("# BEGIN")
    assert end.startswith("# END")
    address, *hosts = line.split()
    assert address == doors.address
    assert {SECURE, PLAIN} < {*hosts}

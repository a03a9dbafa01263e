"""An app whose TLS ends in itself shows a certificate by which its clients know it."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from slipway.certificates import ROOT_FILE
from slipway.keystores import certificates_in, key_in
from slipway.kube.client import SECRETS
from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Run, Scenario

SPACE = "keeper-main"
SERVER = """
import os, signal, ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["PASSWORD"].encode() if self.path == "/password" else b"ok"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
server = ThreadingHTTPServer(("", 8443), Handler)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/etc/slipway/tls/tls.crt", "/etc/slipway/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
INSIDE = """
import ssl, urllib.request
context = ssl.create_default_context(cafile="/etc/slipway/tls/ca.crt")
for name in ("keeper", "keeper.{space}", "keeper.{space}.svc", "keeper.{space}.svc.cluster.local"):
    print(urllib.request.urlopen(f"https://{{name}}/", context=context).read().decode())
"""


@dataclass(frozen=True)
class Keeper:
    """An app that serves HTTPS at an address of its own."""

    scenario: Scenario
    apps_file: Path
    folder: Path
    address: str

    def deploy(self) -> Run:
        """Deploy it beside the apps of the cluster."""
        ca_dir = self.folder / "ca"
        return self.scenario.play(
            "playbooks/apps.yml", slipway_apps_file=self.apps_file, slipway_ca_dir=ca_dir
        )

    def ask(self, path: str, cafile: Path | None) -> str:
        """What it answers to somebody who trusts this root, or nobody in particular."""
        context = ssl.create_default_context(cafile=cafile)
        connection = http.client.HTTPSConnection(self.address, timeout=30, context=context)
        connection.request("GET", path)
        return connection.getresponse().read().decode()


@pytest.fixture(scope="module")
def keeper(
    scenario: Scenario, apps_file: AppsFile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Keeper]:
    address = str(ip_address(scenario.ingress_address()) + 6)

    def add(apps: Apps) -> None:
        sample = next(app for app in apps if app["name"] == "quotes")
        alike = {key: value for key, value in sample.items() if key != "ingress"}
        ports = {"https": {"port": 443, "target": 8443}}
        own = {
            "name": "keeper",
            "port": 8443,
            "scheme": "https",
            "command": ["python3", "-u", "-c", SERVER],
            "env": {"PASSWORD": {"password": "keystore"}},
            "certificate": {},
            "service": {"type": "LoadBalancer", "address": address, "ports": ports},
        }
        apps.append({**alike, **own})

    yield Keeper(scenario, apps_file.changed(add), tmp_path_factory.mktemp("keeper"), address)
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, str(undone)


def test_clients_that_trust_the_authority_reach_it_by_each_of_its_names(keeper: Keeper) -> None:
    run = keeper.deploy()
    assert run.code == 0, str(run)
    root = keeper.folder / "ca" / ROOT_FILE
    assert keeper.ask("/", root) == "ok"
    with pytest.raises(ssl.SSLCertVerificationError):
        keeper.ask("/", None)
    said = keeper.scenario.python_in_pod(SPACE, "deployment/keeper", INSIDE.format(space=SPACE))
    assert said.split() == ["ok"] * 4

    secret = keeper.scenario.kube.get(SECRETS, "keeper-certificate", SPACE)
    assert secret
    files = {key: base64.b64decode(value) for key, value in secret["data"].items()}
    password = keeper.ask("/password", root)
    key = files["tls.key"].decode()
    assert key_in(files["keystore.p12"], password) == key
    assert certificates_in(files["truststore.p12"], password) == [root.read_text()]
    assert not [line for line in key.splitlines()[1:-1] if line in f"{run.output}{run.errors}"]

    pods = keeper.scenario.pods()
    again = keeper.deploy()
    assert set(again.changed.values()) == {0}, str(again)
    assert keeper.scenario.pods() == pods
    assert keeper.scenario.kube.get(SECRETS, "keeper-certificate", SPACE) == secret

"""The files of registries as containerd of the bundle reads them, with registries that ask."""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from slipway.nodes import registries as of_nodes
from slipway.oci.model import INDEX
from slipway.waiting import wait_until
from tests.support import registries
from tests.support.file_servers import tls
from tests.support.oci_samples import digest_of
from tests.support.real_bundle import real_bundle
from tests.support.registries import PASSWORD, USER
from tests.support.serving import serving
from tests.support.upstreams import image_for

NAME = "team/web"

LOGIN = {"user": USER, "password": "pull"}


class Containerd:
    """A containerd of its own, with a folder of registries."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "certs.d"
        self.folder.mkdir()

    def knows(self, given: dict[str, Any]) -> None:
        """Let it know these registries and no others."""
        for path in self.folder.glob("*/*"):
            path.unlink()
        for each in of_nodes.files(of_nodes.registries(given, {"pull": PASSWORD})):
            path = Path(each["path"])
            path.parent.mkdir(exist_ok=True)
            path.write_text(each["content"])

    def ctr(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """What its client says."""
        command = [str(real_bundle() / "bin/ctr"), f"--address={self.root}/socket", *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def pull(self, ref: str) -> str:
        """Fetch an image; gives why that did not work, or nothing."""
        platform = "--platform=linux/amd64"
        done = self.ctr("content", "fetch", f"--hosts-dir={self.folder}", platform, ref)
        return "" if done.returncode == 0 else done.stderr


@pytest.fixture
def containerd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Containerd]:
    made = Containerd(tmp_path)
    monkeypatch.setattr(of_nodes, "FOLDER", str(made.folder))
    config = tmp_path / "config.toml"
    config.write_text(
        "version = 3\n"
        "disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', "
        "'io.containerd.cri.v1.runtime', 'io.containerd.nri.v1.nri']\n"
        f"root = '{tmp_path}/root'\nstate = '{tmp_path}/state'\n"
        f"[grpc]\naddress = '{tmp_path}/socket'\n[ttrpc]\naddress = '{tmp_path}/ttrpc'\n"
    )
    with (tmp_path / "log").open("wb") as log:
        program = str(real_bundle() / "bin/containerd")
        process = subprocess.Popen([program, "--config", config], stdout=log, stderr=log)
    try:
        up = wait_until(lambda: made.ctr("version").returncode == 0, 30)
        assert up, (tmp_path / "log").read_text()
        yield made
    finally:
        process.terminate()
        process.wait()


@contextmanager
def asking(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A registry over TLS that asks for a login, and the folder with its certificate."""
    scratch = tmp_path / "tls"
    scratch.mkdir()
    tls(scratch, 2)
    program = real_bundle() / "tools" / "docker-registry"
    with registries.served(program, tmp_path / "registry", asks=True, tls=scratch) as here:
        address = here.replace("127.0.0.1", "localhost")
        url, ca = f"https://{address}", scratch / "server.crt"
        registries.push(url, NAME, *image_for("amd64"), ca, tag="1", asks=True)
        yield address, ca


def test_a_login_and_an_authority_open_a_registry_and_its_name_as_a_mirror(
    containerd: Containerd, tmp_path: Path
) -> None:
    with asking(tmp_path) as (address, ca):
        ref = f"{address}/{NAME}:1"
        containerd.knows({address: {"ca": str(ca)}})
        refused = containerd.pull(ref)
        assert "401" in refused or "authorization failed" in refused
        containerd.knows({address: {**LOGIN, "ca": str(ca)}})
        assert containerd.pull(ref) == ""
        mirrors = {"mirrors": [f"https://{address}"]}
        containerd.knows({"nowhere.test": mirrors, address: {**LOGIN, "ca": str(ca)}})
        assert containerd.pull(f"nowhere.test/{NAME}:1") == ""
        containerd.knows({"_default": mirrors, address: {**LOGIN, "ca": str(ca)}})
        assert containerd.pull(f"elsewhere.test/{NAME}:1") == ""


@contextmanager
def with_tokens() -> Iterator[str]:
    """A registry that takes tokens alone, from a service that gives one to whom it knows."""
    layout, index = image_for("amd64")
    blobs = {digest_of(each): each for each in layout.files.values()} | {
        "1": index,
        digest_of(index): index,
    }
    kinds = {each["digest"]: each["mediaType"] for each in json.loads(index)["manifests"]}
    kinds["1"] = INDEX

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            said = self.headers["Authorization"] or ""
            if self.path.startswith("/token"):
                known = f"{USER}:{PASSWORD}".encode()
                is_known = said.startswith("Basic ") and b64decode(said[6:]) == known
                return self.give(200 if is_known else 401, b'{"token": "T"}')
            if said != "Bearer T":
                return self.give(401, b"", "WWW-Authenticate", self.challenge())
            name = self.path.rpartition("/")[2]
            return self.give(200, blobs[name], "Content-Type", kinds.get(name, "x/y"))

        def challenge(self) -> str:
            return f'Bearer realm="http://{self.headers["Host"]}/token",service="it"'

        def give(self, status: int, content: bytes, *header: str) -> None:
            self.send_response(status)
            if header:
                self.send_header(*header)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server), server:
        yield f"127.0.0.1:{server.server_port}"


def test_a_login_is_told_to_the_service_that_gives_tokens(containerd: Containerd) -> None:
    with with_tokens() as address:
        ref = f"{address}/{NAME}:1"
        containerd.knows({address: {"plain_http": True}})
        assert "401" in containerd.pull(ref)
        containerd.knows({address: {**LOGIN, "plain_http": True}})
        assert containerd.pull(ref) == ""

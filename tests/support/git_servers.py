"""Real git servers that want to know who asks, and a double of GitHub's deploy keys."""

from __future__ import annotations

import base64
import getpass
import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ingress.tests.support.objects import make_certificate
from slipway.waiting import wait_until
from tests.support.serving import serving

LFS = "application/vnd.git-lfs+json"
"""The type of what git-lfs's API says."""

SSHD = "/usr/sbin/sshd"


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # connections that a client keeps open do not hold up the end


@dataclass(frozen=True)
class Https:
    """Repositories below a folder over HTTPS, for whoever has the token."""

    port: int
    certificate: Path
    requests: list[str]
    """What was asked for with the right token."""

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}/{path}"

    @property
    def env(self) -> dict[str, str]:
        """What makes git trust the server."""
        return {"GIT_SSL_CAINFO": str(self.certificate)}


@contextmanager
def https(folder: Path, token: str, scratch: Path, user: str = "x-access-token") -> Iterator[Https]:
    """Serve the repositories below ``folder`` by git's own CGI program.

    What Git LFS has is below ``lfs`` there, by the sha256 of each file.
    """
    wanted = "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()
    served: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # git's TLS library minds connections that just end

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.headers.get("Authorization") != wanted:
                self.answer("401", [("WWW-Authenticate", 'Basic realm="git"')], b"")
                return
            served.append(self.path)
            if self.path.endswith("/info/lfs/objects/batch"):
                self.answer("200", [("Content-Type", LFS)], self.batch(json.loads(body)))
                return
            if self.path.startswith("/lfs/"):
                self.answer("200", [], (folder / self.path[1:]).read_bytes())
                return
            head, _, content = self.cgi(body).partition(b"\r\n\r\n")
            headers = [line.partition(": ")[::2] for line in head.decode().splitlines()]
            self.answer(dict(headers).get("Status", "200"), headers, content)

        def batch(self, asked: dict[str, Any]) -> bytes:
            """Where the objects are that are asked for, as git-lfs's API has it."""
            place = f"https://{self.headers['Host']}/lfs"
            objects = [
                {**each, "actions": {"download": {"href": f"{place}/{each['oid']}"}}}
                for each in asked["objects"]
            ]
            return json.dumps({"transfer": "basic", "objects": objects}).encode()

        def cgi(self, body: bytes) -> bytes:
            parts = urlsplit(self.path)
            env = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            command = ["git", "http-backend"]
            return subprocess.run(
                command, env=env, input=body, stdout=subprocess.PIPE, check=True
            ).stdout

        def answer(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response(int(status.split()[0]))
            for name, value in [*headers, ("Content-Length", str(len(content)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    certificate, key = make_certificate("localhost")
    (scratch / "https.crt").write_bytes(certificate)
    (scratch / "https.key").write_bytes(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(scratch / "https.crt", scratch / "https.key")
    with _Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        with serving(server):
            yield Https(server.server_port, scratch / "https.crt", served)


@dataclass(frozen=True)
class Sshd:
    """sshd on a port of its own; who may come in is in a file."""

    port: int
    known_hosts: str
    authorized_keys: Path

    def url(self, repository: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{repository}"

    def authorize(self, *keys: str, command: str = "") -> None:
        """Let these public keys in; with ``command`` it runs instead of what is asked for."""
        option = f'command="{command}" ' if command else ""
        self.authorized_keys.write_text("".join(f"{option}{key}\n" for key in keys))


@contextmanager
def sshd(scratch: Path) -> Iterator[Sshd]:
    """Run OpenSSH's server for this user."""
    host_key, public = key_pair(scratch, "host")
    (scratch / "host").write_text(host_key)
    (scratch / "host").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    authorized = scratch / "authorized_keys"
    authorized.touch()
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": scratch / "host",
        "AuthorizedKeysFile": authorized,
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
    }
    config = scratch / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd(8) insists on it
    with (scratch / "sshd.log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=log)
        try:
            assert wait_until(lambda: _listens(port), 10), (scratch / "sshd.log").read_text()
            yield Sshd(port, f"[127.0.0.1]:{port} {public}", authorized)
        finally:
            server.terminate()
            server.wait()


@contextmanager
def sshd_for_a_key(folder: Path) -> Iterator[Sshd]:
    """A server that lets in whoever has the key that is put into ``folder`` as ``id``."""
    (folder / "server").mkdir()
    with sshd(folder / "server") as running:
        private, public = key_pair(folder, "user")
        (folder / "id").write_text(private)
        (folder / "id").chmod(0o600)
        running.authorize(public)
        yield running


def key_pair(scratch: Path, name: str) -> tuple[str, str]:
    """A private key of ssh-keygen's and its public half."""
    path = scratch / f"{name}-key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True
    )
    private = path.read_text()
    path.unlink()
    public = path.with_name(f"{path.name}.pub")
    return private, " ".join(public.read_text().split()[:2])


@dataclass
class GitHub:
    """The three calls about deploy keys; the keys that there are come in by ``server``."""

    server: Sshd
    token: str
    api: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    """Methods that are answered with this status."""
    command: str = ""
    _number: int = 100

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and content of the answer to one call."""
        self.calls.append(f"{method} {path}")
        if method in self.refused:
            return self.refused[method], {"message": "refused"}
        if method == "GET":
            return 200, self.keys
        if method == "POST":
            self._number += 1
            self.keys.append({"id": self._number, **body})
        else:
            left = [key for key in self.keys if not path.endswith(f"/{key['id']}")]
            if len(left) == len(self.keys):
                return 404, {"message": "Not Found"}
            self.keys = left
        self.server.authorize(*(key["key"] for key in self.keys), command=self.command)
        return (201, self.keys[-1]) if method == "POST" else (204, None)


@contextmanager
def github(server: Sshd, token: str) -> Iterator[GitHub]:
    """Serve the API on a port of its own."""
    double = GitHub(server, token)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.headers["Authorization"] != f"Bearer {token}":
                status, answer = 401, {"message": "Bad credentials"}
            else:
                assert self.headers["X-GitHub-Api-Version"]
                status, answer = double.answer(
                    self.command, self.path, json.loads(body) if body else None
                )
            self.send_response(status)
            self.end_headers()
            if answer is not None:
                self.wfile.write(json.dumps(answer).encode())

        do_POST = do_DELETE = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as api:
        double.api = f"http://127.0.0.1:{api.server_port}"
        with serving(api):
            yield double


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def bare_copy(repository: Path, place: Path) -> Path:
    """The repository as servers have it, without a work tree."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(repository / ".git", place)
    subprocess.run(["git", "-C", place, "config", "core.bare", "true"], check=True)
    return place

"""A real server with upstream's layout, of files and registries, and a project locked to it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import yaml

from slipway.architecture import Architecture
from slipway.bundle.mirrors import Mirrors, mirrors
from slipway.bundle.source import SourceProvider
from slipway.bundle.upstream import UpstreamProvider
from slipway.cache.layout import CacheLayout
from tests.support.file_servers import Fault, Server, tls
from tests.support.oci_samples import Layout, digest_of, gzipped, tar_of
from tests.support.serving import serving

INDEX = "application/vnd.oci.image.index.v1+json"
HERE = Architecture.here()
REF = "registry.test/server:v1.0.0"
THEIRS = "registry.test/theirs:v1"
"""An image that nobody can make here."""


@dataclass
class Upstream:
    """What is served by its path, and what was asked for.

    ``links`` are where a page of a list leads on to, ``faults`` are of the next requests of a path.
    Who asks has to have the ``login``, or a token that is given for it where there is a ``token``.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    login: str = ""
    token: str = ""
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    url: str = ""

    def put_image(self, repository: str, layout: Layout, index: bytes) -> str:
        """Have the images of a layout, with blobs and manifests; give the digest of their index."""
        path = f"/v2/{repository}"
        for name, content in layout.files.items():
            digest = f"sha256:{name.rpartition('/')[2]}"
            self.files[f"{path}/blobs/{digest}"] = content
            self.files[f"{path}/manifests/{digest}"] = content
        digest = digest_of(index)
        self.files[f"{path}/manifests/{digest}"] = index
        self.kinds[f"{path}/manifests/{digest}"] = INDEX
        return digest

    def asked_for(self, part: str) -> list[str]:
        """From where on each path with this in it was wanted."""
        return [headers.get("Range", "") for path, headers in self.asked if part in path]


@contextmanager
def upstream(scratch: Path | None = None, days: int = 2) -> Iterator[Upstream]:
    """Serve what is put there; over HTTPS with ``scratch``, as of any server of files."""
    served = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            path, _, query = self.path.partition("?")
            served.asked.append((self.path, dict(self.headers.items())))
            faults = served.faults.get(path, [])
            fault = faults.pop(0) if faults else Fault()
            time.sleep(fault.late)
            if path == "/token" and not fault.status:
                self.give_token(query)
            elif path != "/token" and not self.is_known():
                wanted = f'Bearer realm="{served.url}/token",service="it",scope="pull"'
                self.head(401, {"WWW-Authenticate": wanted if served.token else "Basic"})
            elif fault.status:
                self.head(fault.status, fault.headers)
            elif path not in served.files:
                self.head(404, {})
            else:
                self.give(served.files[path], served.kinds.get(path, ""), fault)

        def is_known(self) -> bool:
            said = self.headers.get("Authorization", "")
            if served.token:
                return said == f"Bearer {served.token}"
            return not served.login or said == basic(served.login)

        def give_token(self, query: str) -> None:
            assert parse_qs(query).keys() == {"service", "scope"}, query
            if served.login and self.headers.get("Authorization") != basic(served.login):
                self.head(401, {"WWW-Authenticate": "Basic"})
                return
            self.give(json.dumps({"token": served.token}).encode(), "application/json", Fault())

        def give(self, content: bytes, kind: str, fault: Fault) -> None:
            first, last = 0, len(content) - 1
            if wanted := self.headers.get("Range", "").removeprefix("bytes="):
                begins, _, ends = wanted.partition("-")
                first, last = int(begins), min(last, int(ends or last))
            body = content[first : last + 1]
            headers = {"Content-Length": str(len(body)), "Content-Type": kind, "ETag": '"one"'}
            if link := served.links.get(self.path):
                headers["Link"] = f'<{link}>; rel="next"'
            if wanted:
                headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self.send(206 if wanted else 200, headers)
            self.wfile.write(body[: fault.cut])
            if fault.pause:
                self.wfile.flush()
                time.sleep(fault.pause)

        def head(self, status: int, headers: Mapping[str, str]) -> None:
            self.send(status, {**headers, "Content-Length": "0"})

        def send(self, status: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        served.url = f"http{'s' if scratch else ''}://localhost:{server.server_port}"
        if scratch:
            server.socket = tls(scratch, days).wrap_socket(server.socket, server_side=True)
        with serving(server):
            yield served


def basic(login: str) -> str:
    """How a login is told."""
    return f"Basic {base64.b64encode(login.encode()).decode()}"


TOOL = b"#!/bin/sh\necho tool\n" * 100_000
BRIDGE = b"a bridge"
PLUGINS = gzipped(tar_of({"./bridge": BRIDGE, "./LICENSE": b"free", "./host-local": b"addresses"}))


def image_for(*architectures: str) -> tuple[Layout, bytes]:
    """An image for these architectures, and its index, which has something said of it as well."""
    layout = Layout()
    layer = tar_of({"server": b"upstream's"})
    images = [
        layout.image(layer, each, platform={"os": "linux", "architecture": each})
        for each in architectures
    ]
    said = layout.image(tar_of({"said": b"of them"}), "unknown")
    platform = {"os": "unknown", "architecture": "unknown"}
    return layout, layout.index(*images, {**said, "platform": platform})


_COMPONENTS = """
tool:
  module: example.com/tool
  binaries: {bin/tool: example.com/tool, bin/toolctl: example.com/toolctl}
plugins:
  module: example.com/plugins
  binaries: {cni/bridge: example.com/bridge, cni/host-local: example.com/host-local}
server:
  module: example.com/server
  binaries: {image/server: example.com/server}
own:
  module: example.com/own
  binaries: {image/own: example.com/own}
"""

_IMAGES = """
server: {ref: "registry.test/server:v{server}", binaries: {server: /server}}
own: {ref: "bundle.slipway.internal/own:{own}", binaries: {own: /own}}
theirs: {ref: "registry.test/theirs:v1", nodes: every, upstream: true}
"""

_GO = """#!/bin/sh
case "$1" in
env) echo go1.26.6 ;;
build)
    for argument; do
        case "$argument" in
        -o=*) out="${{argument#-o=}}" ; mkdir -p "$out" ;;
        example.com/*)
            echo "${{argument#example.com/}}" >>"{log}"
            echo "compiled for $GOARCH" >"$out${{argument#example.com/}}" ;;
        esac
    done ;;
esac
"""

VERSIONS = dict.fromkeys(("tool", "plugins", "server", "own"), "1.0.0")


class Project:
    """A project of which upstream has a program, an archive and an image, and one thing not.

    Its bundle is for machines of one ``architecture``.
    """

    def __init__(self, root: Path, served: Upstream) -> None:
        self.root = root
        self.architecture = HERE
        self.served = served
        self.said: list[str] = []
        self.mirrors: dict[str, Any] = {"dl.test": served.url, "registry.test": served.url}
        self.secrets: dict[str, str] = {}
        self.versions = {**VERSIONS, "go": "1.26.6", "debian": "trixie"}
        self.log = root / "log"
        for name in VERSIONS:
            self._write(f"bundle/go/{name}/go.mod", f"require example.com/{name} v1.0.0\n")
        self._write("log", "")
        self._write("bundle/go/components.yml", _COMPONENTS)
        self._write("images/images.yml", _IMAGES)
        self._write("tools/go", _GO.format(log=self.log)).chmod(0o755)
        served.files["/tool/1.0.0/tool"] = TOOL
        served.files["/plugins-1.0.0.tgz"] = PLUGINS
        self.lock: dict[str, Any] = {
            "files": {
                "tool": [_file("https://dl.test/tool/{version}/tool", TOOL, place="bin/tool")],
                "plugins": [
                    _file(
                        "https://dl.test/plugins-{version}.tgz",
                        PLUGINS,
                        members={"cni/bridge": "bridge", "cni/host-local": "host-local"},
                    )
                ],
            },
            "images": {REF: self.put_image(HERE)},
        }

    def put_image(self, *architectures: str) -> str:
        """Have an image at upstream for these architectures; give the digest of its index."""
        return self.served.put_image("server", *image_for(*architectures))

    def source(self) -> SourceProvider:
        """What makes all of it."""
        self._write("bundle/upstream.yml", yaml.safe_dump(self.lock))
        cache = CacheLayout(self.root / "cache")
        return SourceProvider(self.root, self.versions, cache, self.architecture)

    def provider(self, *, hurried: bool = False, signatures: str = "off") -> UpstreamProvider:
        """The provider, as a new run has it."""
        say = self.said.append
        return UpstreamProvider(self.source(), self.mirrored(), hurried, say, signatures)

    def mirrored(self) -> Mirrors:
        """Where upstream is asked."""
        return mirrors(self.mirrors, self.secrets)

    def compiled(self) -> list[str]:
        """What was compiled since this was asked last."""
        done = sorted(self.log.read_text().split())
        self.log.write_text("")
        return done

    def _write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def _file(url: str, content: bytes, **more: Any) -> dict[str, Any]:
    sha256 = digest_of(content).removeprefix("sha256:")
    return {"url": url, "sha256": {"1.0.0": {"amd64": sha256, "arm64": sha256}}, **more}

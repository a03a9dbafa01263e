"""A mirror with upstream's layout, of what a bundle from source has, and a lock of its sums."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from slipway.architecture import Architecture
from slipway.bundle.source import SourceProvider
from slipway.bundle.upstream_lock import ALL_OF_IT, Lock, Pinned
from slipway.oci import ImageStore
from slipway.oci.model import INDEX, MANIFEST
from tests.support.bare_machines import HERE
from tests.support.file_servers import tls
from tests.support.serving import serving


@dataclass
class Mirror:
    """Files by the path that they are asked for at, and what kind of content they are."""

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, content: bytes, kind: str = "") -> str:
        """Have some content; its sha256."""
        sha256 = hashlib.sha256(content).hexdigest()
        (self.folder / sha256).write_bytes(content)
        self.files[path], self.kinds[path] = self.folder / sha256, kind
        return sha256

    def put_image(self, store: ImageStore, ref: str, repository: str) -> str:
        """Have an image of a store, with an index of its one platform; the digest of that."""
        [image] = store.require([ref])
        path = f"/v2/{repository}"
        blobs = store.root / "blobs" / "sha256"
        for digest in (image.config.digest, *(layer.digest for layer in image.layers)):
            self.files[f"{path}/blobs/{digest}"] = blobs / digest.removeprefix("sha256:")
        manifest = (blobs / image.manifest.digest.removeprefix("sha256:")).read_bytes()
        self.put(f"{path}/manifests/{image.manifest.digest}", manifest, MANIFEST)
        system, architecture = image.platform.split("/")
        entry = {
            "mediaType": MANIFEST,
            "digest": image.manifest.digest,
            "size": len(manifest),
            "platform": {"os": system, "architecture": architecture},
        }
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
        digest = f"sha256:{hashlib.sha256(index).hexdigest()}"
        self.put(f"{path}/manifests/{digest}", index, INDEX)
        return digest


@contextmanager
def served(mirror: Mirror, scratch: Path, host: str = HERE) -> Iterator[int]:
    """Serve it over TLS at all addresses of this machine; gives the port.

    The certificate, ``server.crt`` in the folder ``scratch``, is for ``host`` alone.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = mirror.files.get(urlsplit(self.path).path)
            if path is None:
                self._head(404, {"Content-Length": "0"})
                return
            size = path.stat().st_size
            begins, _, ends = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            first, last = int(begins or 0), min(size - 1, int(ends or size - 1))
            headers = {"Content-Length": str(last - first + 1), "ETag": f'"{path.name}"'}
            if kind := mirror.kinds.get(self.path):
                headers["Content-Type"] = kind
            if begins:
                headers["Content-Range"] = f"bytes {first}-{last}/{size}"
            self._head(206 if begins else 200, headers)
            with path.open("rb") as file:
                file.seek(first)
                if last + 1 < size:
                    self.wfile.write(file.read(last - first + 1))
                else:
                    shutil.copyfileobj(file, self.wfile, 1 << 20)

        def _head(self, status: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("", 0), Handler) as server:
        server.socket = tls(scratch, 2, host).wrap_socket(server.socket, server_side=True)
        with serving(server):
            yield server.server_port


def filled(mirror: Mirror, lock: Lock, source: SourceProvider, bundle: Path) -> dict[str, Any]:
    """Have all that the lock names of what is in a bundle; a lock of the same with its sums.

    Programs that are in images alone are in no bundle, and with the images nobody asks for them.
    """
    architecture = source.architecture
    files: dict[str, Any] = {}
    for component in source.components:
        version = component.version
        for pinned in lock.files_of(component.name, version, architecture.value):
            if not all((bundle / place).exists() for place in pinned.places):
                continue
            sha256 = mirror.put(urlsplit(pinned.url).path, _content(pinned, bundle))
            entry = {
                "url": pinned.url,
                # Each version has a sum for all architectures; only one of them is asked for.
                "sha256": {version: {each.value: sha256 for each in Architecture}},
            }
            places = dict(pinned.places)
            whole = [place for place, member in places.items() if member == ALL_OF_IT]
            entry |= {"place": whole[0]} if whole else {"members": places}
            files.setdefault(component.name, []).append(entry)
    store = ImageStore(bundle / "images", architecture.platform)
    images = {}
    for ref, image in lock.images.items():
        if ref in store.images():
            repository = image.repository.partition("/")[2]
            images[ref] = f"{image.repository}@{mirror.put_image(store, ref, repository)}"
    return {"files": files, "images": images}


def _content(pinned: Pinned, bundle: Path) -> bytes:
    """A file as upstream has it: a program, or an archive of some."""
    places = dict(pinned.places)
    if [*places.values()] == [ALL_OF_IT]:
        return (bundle / next(iter(places))).read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as tar:
        for place, member in places.items():
            tar.add(bundle / place, member)
    return packed.getvalue()

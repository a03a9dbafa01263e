"""The registry protocol on the loopback interface, for as long as a build takes.

Jib reads its base from a registry and pushes what it built to one, layer by layer, and only what
is not there yet. Answering it from the image store saves writing and reading whole images as
archives, which costs more than the build of a small service.

Implements the part of the OCI distribution specification 1.1 that Jib uses: pulling by digest, and
pushing blobs in one or several chunks and manifests. Everything pushed is checked against its
digest, and a result is known by the digest that the builder wrote down, so nobody else on this
machine can put another image in its place.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import parse_qs, urlsplit

from slipway.errors import Problem, SlipwayError

TLS_HANDSHAKE = b"\x16"
"""The first byte of a client that speaks TLS."""

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ROUTE = re.compile(r"/v2/(?P<name>.+)/(?P<kind>blobs|manifests)/(?P<id>.+)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Blobs:
    """Blobs by digest: those pushed, kept in ``scratch``, and those of OCI layouts to read from."""

    def __init__(self, scratch: Path, layouts: Sequence[Path]) -> None:
        self._scratch = scratch
        self._places = [scratch, *(layout / "blobs" / "sha256" for layout in layouts)]

    def path(self, digest: str) -> Path | None:
        """The file of a blob, or None when it is in none of the places."""
        if not _DIGEST.fullmatch(digest):
            return None
        paths = (place / digest.removeprefix("sha256:") for place in self._places)
        return next((path for path in paths if path.is_file()), None)

    def read(self, digest: str) -> bytes:
        """The content of a small blob; raises SlipwayError when it was never pushed."""
        path = self.path(digest)
        if path is None:
            raise SlipwayError(Problem(digest, "was named by the builder but never pushed"))
        return path.read_bytes()

    def add(self, content: bytes) -> str:
        """Keep a small blob and return its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        new = self.new_file()
        new.write_bytes(content)
        self.keep(new, digest)
        return digest

    def new_file(self) -> Path:
        """A file to write a blob into."""
        return self._scratch / f"upload-{uuid.uuid4().hex}"

    def keep(self, file: Path, digest: str) -> bool:
        """Give a written file its digest as its name; False, and gone, when it is another's."""
        with file.open("rb") as stream:
            found = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
        if found == digest:
            file.rename(self._scratch / digest.removeprefix("sha256:"))
            return True
        file.unlink()
        return False


class Registry:
    """A running registry; ``address`` is ``127.0.0.1:<port>``."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        self._server = _Server(blobs)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serve(folder: Path, layouts: Sequence[Path]) -> Iterator[Registry]:
    """A registry over ``layouts``; what is pushed is kept below ``folder`` as long as it runs."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder, prefix="push-"))
    registry = Registry(Blobs(scratch, layouts))
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()
        shutil.rmtree(scratch)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is the builder's affair, and the builder says so itself."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        # Jib tries TLS first. It would wait for an answer to its handshake; an end of the
        # connection makes it go on with plain HTTP at once.
        self._is_tls = cast(BufferedReader, self.rfile).peek(1)[:1] == TLS_HANDSHAKE

    def handle(self) -> None:
        if not self._is_tls:
            super().handle()

    def do_GET(self) -> None:
        """Give a blob or a manifest."""
        if self.path == "/v2/":
            self._answer(HTTPStatus.OK)
            return
        route = _ROUTE.fullmatch(self.path)
        path = self.server.blobs.path(route["id"]) if route else None
        if route is None or path is None:
            self._answer(HTTPStatus.NOT_FOUND)
            return
        is_manifest = route["kind"] == "manifests"
        self._answer(
            HTTPStatus.OK,
            {
                "Docker-Content-Digest": route["id"],
                "Content-Type": _MANIFEST if is_manifest else "application/octet-stream",
            },
            path,
        )

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Begin an upload. A blob is never taken over from another repository: all share one."""
        self._body(None)
        name = urlsplit(self.path).path.removesuffix("/")
        self._answer(
            HTTPStatus.ACCEPTED, {"Location": f"{name}/{self.server.blobs.new_file().name}"}
        )

    def do_PATCH(self) -> None:
        """Take a chunk of an upload."""
        place = urlsplit(self.path).path
        with self._upload(place).open("ab") as file:
            self._body(file)
        self._answer(HTTPStatus.ACCEPTED, {"Location": place})

    def do_PUT(self) -> None:
        """Take a manifest, or the end of an upload."""
        url = urlsplit(self.path)
        file = self._upload(url.path)
        with file.open("ab") as out:
            self._body(out)
        if "/manifests/" in url.path:
            digest = self.server.blobs.add(file.read_bytes())
            file.unlink()
        else:
            digest = parse_qs(url.query).get("digest", [""])[0]
            if not self.server.blobs.keep(file, digest):
                self._answer(HTTPStatus.BAD_REQUEST)
                return
        self._answer(HTTPStatus.CREATED, {"Docker-Content-Digest": digest})

    def _upload(self, path: str) -> Path:
        """The file of the upload that a URL's path names; a manifest gets one of its own."""
        fresh = self.server.blobs.new_file()
        name = path.rsplit("/", 1)[-1]
        return fresh.with_name(name) if re.fullmatch(r"upload-[0-9a-f]{32}", name) else fresh

    def _body(self, out: IO[bytes] | None) -> None:
        """Read the request's body into ``out``, or away."""
        for chunk in self._chunks():
            if out:
                out.write(chunk)

    def _chunks(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        elif size := int(self.headers.get("Content-Length", 0)):
            yield self.rfile.read(size)

    def _answer(
        self,
        status: HTTPStatus,
        headers: Mapping[str, str] | None = None,
        path: Path | None = None,
    ) -> None:
        """Send the headers and, but for HEAD, what is in the file at ``path``."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(path.stat().st_size if path else 0))
        self.end_headers()
        if path and self.command == "GET":
            with path.open("rb") as file:
                shutil.copyfileobj(file, cast(IO[bytes], self.wfile))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what matters, the builder says."""

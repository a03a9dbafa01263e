"""A small API server in this process: lists, watches, events and statuses over real HTTP."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Document = dict[str, Any]

COLLECTIONS = {
    "Ingress": "/apis/networking.k8s.io/v1/ingresses",
    "IngressClass": "/apis/networking.k8s.io/v1/ingressclasses",
    "Service": "/api/v1/services",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices",
    "Secret": "/api/v1/secrets",
}


class FakeApi:
    """Holds objects by kind; every change goes to the watches that are open.

    ``status_patches`` names the Ingress of each patch of a status that changed something. Nothing
    is listed while ``answering`` is not set.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._versions = itertools.count(1)
        self._version = "0"
        self._objects: dict[str, dict[tuple[str, str], Document]] = {
            kind: {} for kind in COLLECTIONS
        }
        self._log: list[tuple[int, str, Document]] = []
        self._oldest = 0
        self._ended = False
        self.answering = threading.Event()
        self.answering.set()
        self.events: dict[str, Document] = {}
        self.status_patches: list[str] = []

    # What a test does.

    def put(self, document: Document) -> None:
        """Create or replace an object."""
        metadata = document["metadata"]
        with self._lock:
            objects = self._objects[document["kind"]]
            key = (metadata.get("namespace", ""), metadata["name"])
            before = objects.get(key)
            after = json.loads(json.dumps(document))
            after["metadata"].setdefault("uid", str(uuid.uuid4()))
            after["metadata"].setdefault("creationTimestamp", "2030-01-01T00:00:00Z")
            if before:
                for name in ("uid", "creationTimestamp"):
                    after["metadata"][name] = before["metadata"][name]
                if "status" in before:
                    after.setdefault("status", before["status"])
            after["metadata"]["generation"] = (before or after)["metadata"].get("generation", 0) + 1
            objects[key] = after
            self._record("MODIFIED" if before else "ADDED", after)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object."""
        with self._lock:
            self._record("DELETED", self._objects[kind].pop((namespace, name)))

    def get(self, kind: str, namespace: str, name: str) -> Document:
        """An object as it is now."""
        with self._lock:
            document: Document = json.loads(json.dumps(self._objects[kind][(namespace, name)]))
            return document

    def messages(self, namespace: str, name: str) -> list[tuple[str, str]]:
        """Reason and message of the events on an Ingress."""
        with self._lock:
            return [
                (event["reason"], event["message"])
                for event in self.events.values()
                if event["involvedObject"]["namespace"] == namespace
                and event["involvedObject"]["name"] == name
            ]

    def forget_history(self) -> None:
        """Answer 410 to watches from before now, and end those that are open."""
        with self._lock:
            self._version = str(next(self._versions))
            self._oldest = int(self._version)
            self._log.clear()
            self._lock.notify_all()

    def end(self) -> None:
        """End all watches."""
        self.answering.set()
        with self._lock:
            self._ended = True
            self._lock.notify_all()

    # What the server does.

    def list(self, kind: str) -> Document:
        self.answering.wait()
        with self._lock:
            items = list(self._objects[kind].values())
            return {"metadata": {"resourceVersion": self._version}, "items": items}

    def watch(self, kind: str, version: int) -> Iterator[Document]:
        """What happened since ``version``, as it happens."""
        seen = version
        while True:
            with self._lock:
                if seen < self._oldest:
                    yield {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
                    return
                news = [entry for entry in self._log if entry[0] > seen]
                if not news:
                    if self._ended:
                        return
                    self._lock.wait(0.5)
                    continue
                seen = news[-1][0]
            for _, change, document in news:
                if document["kind"] == kind:
                    yield {"type": change, "object": document}

    def create_event(self, document: Document) -> int:
        with self._lock:
            name = document["metadata"]["name"]
            if name in self.events:
                return 409
            self.events[name] = document
            return 201

    def patch(self, path: str, body: Document) -> int:
        parts = path.strip("/").split("/")
        with self._lock:
            if parts[-2] == "events":
                self.events[parts[-1]].update(body)
                return 200
            document = self._objects["Ingress"].get((parts[-4], parts[-2]))
            if document is None:
                return 404
            if document["metadata"]["uid"] != body["metadata"]["uid"]:
                return 409
            if document.get("status") == body["status"]:
                return 200
            self.status_patches.append(f"{parts[-4]}/{parts[-2]}")
            document = json.loads(json.dumps(document))
            document["status"] = body["status"]
            self._objects["Ingress"][(parts[-4], parts[-2])] = document
            self._record("MODIFIED", document)
            return 200

    def _record(self, change: str, document: Document) -> None:
        version = next(self._versions)
        self._version = str(version)
        document["metadata"]["resourceVersion"] = self._version
        self._log.append((version, change, json.loads(json.dumps(document))))
        self._lock.notify_all()


def _handler(api: FakeApi) -> type[BaseHTTPRequestHandler]:
    kinds = {path: kind for kind, path in COLLECTIONS.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path not in kinds:
                self._answer(200, api.events[url.path.rpartition("/")[2]])
            elif "watch" in query:
                self._stream(api.watch(kinds[url.path], int(query["resourceVersion"])))
            else:
                self._answer(200, api.list(kinds[url.path]))

        def do_POST(self) -> None:
            status = api.create_event(self._body())
            self._answer(status, {"kind": "Status", "message": "already exists"})

        def do_PATCH(self) -> None:
            self._answer(api.patch(urlsplit(self.path).path, self._body()), {})

        def _body(self) -> Document:
            body: Document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return body

        def _answer(self, status: int, document: Document) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, events: Iterator[Document]) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            try:
                for event in events:
                    line = json.dumps(event).encode() + b"\n"
                    # Where chunks end says nothing about where lines do.
                    for part in (line[:20], line[20:]):
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def served(api: FakeApi, folder: Path) -> Iterator[Path]:
    """Serve ``api``; yields a kubeconfig for it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    kubeconfig = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        "clusters": [
            {"name": "fake", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "fake", "user": {}}],
    }
    kubeconfig.write_text(json.dumps(document))
    try:
        yield kubeconfig
    finally:
        api.end()
        server.shutdown()
        server.server_close()
        thread.join()

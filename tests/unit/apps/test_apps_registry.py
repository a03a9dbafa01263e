"""The loopback registry speaks the protocol and keeps only what is what it says."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from slipway.apps.registry import Registry, serve
from slipway.errors import SlipwayError


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An OCI layout with one blob."""
    blobs = tmp_path / "store" / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (blobs / digest_of(b"stored")[7:]).write_bytes(b"stored")
    return tmp_path / "store"


@pytest.fixture
def registry(tmp_path: Path, layout: Path) -> Iterator[Registry]:
    with serve(tmp_path / "work", [layout]) as running:
        yield running
    assert list((tmp_path / "work").iterdir()) == []


def ask(
    registry: Registry, method: str, path: str, body: bytes | Iterator[bytes] | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(registry.address, timeout=5)
    connection.request(method, path, body, encode_chunked=isinstance(body, Iterator))
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def begin_upload(registry: Registry) -> str:
    response, _ = ask(registry, "POST", "/v2/app/blobs/uploads/?mount=sha256:x&from=base")
    assert response.status == 202
    return response.headers["Location"]


def test_version_check(registry: Registry) -> None:
    assert ask(registry, "GET", "/v2/")[0].status == 200


def test_blobs_of_a_layout_are_there_without_a_push(registry: Registry) -> None:
    path = f"/v2/app/blobs/{digest_of(b'stored')}"
    head, nothing = ask(registry, "HEAD", path)
    assert (head.status, head.headers["Content-Length"], nothing) == (200, "6", b"")
    assert ask(registry, "GET", path)[1] == b"stored"


@pytest.mark.parametrize(
    "path",
    ["/v2/app/blobs/sha256:" + "0" * 64, "/v2/app/manifests/latest", "/v2/a/blobs/../../x", "/x"],
)
def test_what_is_not_there(registry: Registry, path: str) -> None:
    assert ask(registry, "GET", path)[0].status == 404


@pytest.mark.parametrize("chunked", [True, False])
def test_pushed_blob(registry: Registry, chunked: bool) -> None:
    place = begin_upload(registry)
    body = iter([b"lay", b"er"]) if chunked else b"layer"
    response, _ = ask(registry, "PATCH", place, body)
    assert (response.status, response.headers["Location"]) == (202, place)
    digest = digest_of(b"layer")
    assert ask(registry, "PUT", f"{place}?digest={digest}")[0].status == 201
    assert ask(registry, "GET", f"/v2/app/blobs/{digest}")[1] == b"layer"
    assert registry.blobs.read(digest) == b"layer"


def test_blob_pushed_at_once(registry: Registry) -> None:
    place = begin_upload(registry)
    digest = digest_of(b"whole")
    assert ask(registry, "PUT", f"{place}?digest={digest}", b"whole")[0].status == 201
    assert registry.blobs.read(digest) == b"whole"


def test_blob_that_is_not_what_it_says(registry: Registry) -> None:
    place = begin_upload(registry)
    digest = digest_of(b"promised")
    assert ask(registry, "PUT", f"{place}?digest={digest}", b"other")[0].status == 400
    with pytest.raises(SlipwayError, match="never pushed"):
        registry.blobs.read(digest)


def test_manifest_is_known_by_its_digest(registry: Registry) -> None:
    manifest = json.dumps({"schemaVersion": 2}).encode()
    response, _ = ask(registry, "PUT", "/v2/app/manifests/tag", manifest)
    assert response.status == 201
    digest = response.headers["Docker-Content-Digest"]
    assert digest == digest_of(manifest)
    got, content = ask(registry, "GET", f"/v2/app/manifests/{digest}")
    assert content == manifest
    assert got.headers["Content-Type"] == "application/vnd.oci.image.manifest.v1+json"


def test_tls_is_turned_away_at_once(registry: Registry) -> None:
    host, port = registry.address.split(":")
    with socket.create_connection((host, int(port)), timeout=2) as client:
        client.sendall(b"\x16\x03\x01\x00\x05hello")
        assert client.recv(100) == b""

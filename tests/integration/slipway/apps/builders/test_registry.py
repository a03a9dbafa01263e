"""Debian's registry takes what is pushed, knows what is stored, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from hashlib import sha256
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from slipway.apps.builders.registry import Registry, serve
from slipway.errors import SlipwayError
from slipway.oci import Image, ImageConfig, ImageStore, layer_from_tree
from slipway.waiting import wait_until
from tests.support.real_bundle import real_bundle

PROGRAM = real_bundle() / "tools" / "docker-registry"


def digest_of(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture
def stored(store: ImageStore) -> Image:
    layer = layer_from_tree({"file": b"stored"})
    return store.add_image("apps.slipway.internal/web:1", [layer], ImageConfig())


@pytest.fixture
def registry(tmp_path: Path, store: ImageStore, stored: Image) -> Iterator[Registry]:
    work = tmp_path / "work"
    work.mkdir()
    with serve(PROGRAM, work, store, [stored]) as running:
        yield running
    assert list(work.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        ask(running, "GET", "/v2/")


def ask(
    registry: Registry, method: str, path: str, body: bytes = b"", kind: str = ""
) -> HTTPResponse:
    connection = HTTPConnection(registry.address, timeout=5)
    connection.request(method, path, body, {"Content-Type": kind} if kind else {})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def push(registry: Registry, content: bytes, digest: str) -> int:
    begun = ask(registry, "POST", "/v2/app/blobs/uploads/")
    place = begun.headers["Location"].removeprefix(f"http://{registry.address}")
    return ask(
        registry, "PUT", f"{place}&digest={digest}", content, "application/octet-stream"
    ).status


def test_stored_layer_is_known_and_takes_no_room(
    registry: Registry, store: ImageStore, stored: Image
) -> None:
    layer = stored.layers[0]
    answer = ask(registry, "HEAD", f"/v2/app/blobs/{layer.digest}")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(layer.size))
    original = store.root / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
    assert registry.path(layer.digest).samefile(original)
    assert original.stat().st_nlink == 1


def test_other_layer_is_not_known(registry: Registry) -> None:
    assert ask(registry, "HEAD", f"/v2/app/blobs/{digest_of(b'new')}").status == 404


def test_pushed_layer_is_a_file(registry: Registry) -> None:
    assert push(registry, b"new", digest_of(b"new")) == 201
    assert registry.path(digest_of(b"new")).read_bytes() == b"new"


def test_layer_that_is_not_what_it_says_is_refused(registry: Registry) -> None:
    assert push(registry, b"other", digest_of(b"promised")) == 400
    assert not registry.path(digest_of(b"promised")).exists()


def test_pushed_manifest_is_read_by_its_digest(registry: Registry) -> None:
    config = b"{}"
    push(registry, config, digest_of(config))
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": [],
        }
    ).encode()
    assert ask(registry, "PUT", "/v2/app/manifests/tag", manifest, kind).status == 201
    assert registry.read(digest_of(manifest)) == manifest


def test_what_was_never_pushed(registry: Registry) -> None:
    with pytest.raises(SlipwayError, match="never pushed"):
        registry.read(digest_of(b"nothing"))


def test_what_was_changed_since(registry: Registry) -> None:
    push(registry, b"new", digest_of(b"new"))
    registry.path(digest_of(b"new")).write_bytes(b"bad")
    with pytest.raises(SlipwayError, match="is not what was pushed"):
        registry.read(digest_of(b"new"))


def test_two_at_once(tmp_path: Path, store: ImageStore, registry: Registry) -> None:
    with serve(PROGRAM, tmp_path / "work", store, []) as other:
        push(other, b"new", digest_of(b"new"))
        assert other.address != registry.address
        assert not registry.path(digest_of(b"new")).exists()


def test_registry_of_a_run_that_was_killed_ends_too(tmp_path: Path, store: ImageStore) -> None:
    address = tmp_path / "address"
    killed = os.fork()
    if killed == 0:
        try:
            with serve(PROGRAM, tmp_path, store, []) as running:
                address.write_text(running.address)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)  # where it does not start: the tests go on in one process alone
    os.waitpid(killed, 0)

    def is_gone() -> bool:
        try:
            ask(Registry(address.read_text(), tmp_path), "GET", "/v2/")
        except ConnectionError:
            return True
        return False

    assert wait_until(is_gone, 10)


@pytest.mark.parametrize("program", ["/nowhere/docker-registry", "/bin/false"])
def test_registry_that_does_not_start(tmp_path: Path, store: ImageStore, program: str) -> None:
    with (
        pytest.raises(SlipwayError, match=f"{program} does not start"),
        serve(Path(program), tmp_path, store, []),
    ):
        pass

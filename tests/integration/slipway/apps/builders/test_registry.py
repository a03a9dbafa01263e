"""Debian's registry takes what is pushed, knows what is stored, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from hashlib import sha256
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from slipway.apps.builders.registry import LONGEST, Registry, serve
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
def place() -> Iterator[Path]:
    """Where the registry's socket is; such a path is short."""
    with TemporaryDirectory() as folder:
        yield Path(folder, "registry")


@pytest.fixture
def registry(tmp_path: Path, place: Path, store: ImageStore, stored: Image) -> Iterator[Registry]:
    with serve(PROGRAM, tmp_path / "work", place, store, [stored]) as running:
        yield running
    with pytest.raises(OSError, match=r"No such file|refused"):
        ask(place, "GET", "/v2/")


class Local(HTTPConnection):
    """A connection to a socket of this machine."""

    def __init__(self, place: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._place = place

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._place))


def ask(place: Path, method: str, path: str, body: bytes = b"", kind: str = "") -> HTTPResponse:
    connection = Local(place)
    connection.request(method, path, body, {"Content-Type": kind} if kind else {})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def push(place: Path, content: bytes, digest: str) -> int:
    begun = ask(place, "POST", "/v2/app/blobs/uploads/")
    upload = begun.headers["Location"].removeprefix("http://localhost")
    return ask(
        place, "PUT", f"{upload}&digest={digest}", content, "application/octet-stream"
    ).status


def test_stored_layer_is_known_and_takes_no_room(
    registry: Registry, place: Path, store: ImageStore, stored: Image
) -> None:
    layer = stored.layers[0]
    answer = ask(place, "HEAD", f"/v2/app/blobs/{layer.digest}")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(layer.size))
    original = store.root / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
    assert registry.path(layer.digest).samefile(original)
    assert original.stat().st_nlink == 1


def test_other_layer_is_not_known(registry: Registry, place: Path) -> None:
    assert ask(place, "HEAD", f"/v2/app/blobs/{digest_of(b'new')}").status == 404


def test_pushed_layer_is_a_file(registry: Registry, place: Path) -> None:
    assert push(place, b"new", digest_of(b"new")) == 201
    assert registry.path(digest_of(b"new")).read_bytes() == b"new"


def test_layer_that_is_not_what_it_says_is_refused(registry: Registry, place: Path) -> None:
    assert push(place, b"other", digest_of(b"promised")) == 400
    assert not registry.path(digest_of(b"promised")).exists()


def test_pushed_manifest_is_read_by_its_digest(registry: Registry, place: Path) -> None:
    config = b"{}"
    push(place, config, digest_of(config))
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
    assert ask(place, "PUT", "/v2/app/manifests/tag", manifest, kind).status == 201
    assert registry.read(digest_of(manifest)) == manifest


def test_what_was_never_pushed(registry: Registry, place: Path) -> None:
    with pytest.raises(SlipwayError, match="never pushed"):
        registry.read(digest_of(b"nothing"))


def test_what_was_changed_since(registry: Registry, place: Path) -> None:
    push(place, b"new", digest_of(b"new"))
    registry.path(digest_of(b"new")).write_bytes(b"bad")
    with pytest.raises(SlipwayError, match="is not what was pushed"):
        registry.read(digest_of(b"new"))


def test_what_is_no_digest_is_not_shown(registry: Registry) -> None:
    with pytest.raises(SlipwayError) as caught:
        registry.read("root:*:19000:")
    assert "root" not in str(caught.value)


def test_a_manifest_without_end_is_not_read(registry: Registry, place: Path) -> None:
    content = bytes(LONGEST + 1)
    assert push(place, content, digest_of(content)) == 201
    with pytest.raises(SlipwayError, match="larger than"):
        registry.read(digest_of(content))


def test_two_at_once(tmp_path: Path, store: ImageStore, registry: Registry, place: Path) -> None:
    with serve(PROGRAM, tmp_path / "other", place.with_name("other"), store, []) as other:
        push(place.with_name("other"), b"new", digest_of(b"new"))
        assert other.path(digest_of(b"new")).exists()
        assert not registry.path(digest_of(b"new")).exists()


def test_registry_of_a_run_that_was_killed_ends_too(
    tmp_path: Path, place: Path, store: ImageStore
) -> None:
    killed = os.fork()
    if killed == 0:
        try:
            with serve(PROGRAM, tmp_path / "work", place, store, []):
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)  # where it does not start: the tests go on in one process alone
    os.waitpid(killed, 0)
    assert place.exists()

    def is_gone() -> bool:
        try:
            ask(place, "GET", "/v2/")
        except ConnectionError:
            return True
        return False

    assert wait_until(is_gone, 10)


@pytest.mark.parametrize("program", ["/nowhere/docker-registry", "/bin/false"])
def test_registry_that_does_not_start(
    tmp_path: Path, place: Path, store: ImageStore, program: str
) -> None:
    with (
        pytest.raises(SlipwayError, match=f"{program} does not start"),
        serve(Path(program), tmp_path / "work", place, store, []),
    ):
        pass

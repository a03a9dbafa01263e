"""What the benchmark of deliveries delivers, and how it counts."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.delivery import SHAPES, Taken, Way
from bench.images import TOP_SIZE, Shape, add_image, add_version
from bench.registry import sent
from bench.wire import metered_engine
from slipway.oci import ImageStore

SHAPE = Shape("tiny", TOP_SIZE + 4000, 3)


def test_a_version_differs_from_every_other_in_its_top_layer_alone(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    first = add_image(store, SHAPE)
    versions = [first, *(add_version(store, first, number) for number in (1, 2))]
    assert len({image.layers[:-1] for image in versions}) == 1
    assert len({image.layers[-1] for image in versions}) == 3
    assert [len(image.layers) for image in versions] == [SHAPE.layers] * 3
    assert sorted(store.images()) == [image.ref for image in versions]
    assert not any(store.verify(image.ref) for image in versions)


def test_an_image_is_as_large_as_its_shape_says(tmp_path: Path) -> None:
    image = add_image(ImageStore(tmp_path), SHAPE)
    assert SHAPE.size < image.size < SHAPE.size + 50_000  # a tar's headers and its end


def test_the_registry_counts_what_it_was_asked_for() -> None:
    entries = [
        {"msg": "listening on 172.26.0.1:5000"},
        _response("GET", 1000),
        _response("HEAD", 50),
        _response("PUT", 70),
        _response("GET", 234),
    ]
    assert sent(map(json.dumps, entries)) == 1234


def _response(method: str, written: int) -> dict[str, object]:
    said = {"http.request.method": method, "http.response.written": written}
    return {"msg": "response completed", **said}


class _Engine(socketserver.BaseRequestHandler):
    """Answers, when all has been said, with how much that was."""

    def handle(self) -> None:
        count = 0
        while data := self.request.recv(1000):
            count += len(data)
        self.request.sendall(str(count).encode())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "docker.sock")
    with socketserver.ThreadingUnixStreamServer(path, _Engine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_the_meter_passes_everything_on_and_counts_it(engine: str, tmp_path: Path) -> None:
    folder = tmp_path / "meter"
    folder.mkdir()
    with metered_engine(folder, engine) as meter:
        for size in (300_000, 7):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(meter.server_address))
                client.sendall(bytes(size))
                client.shutdown(socket.SHUT_WR)
                assert client.recv(100) == str(size).encode()
                assert client.recv(100) == b""
    assert sum(meter.sent) == 300_007
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("shape", "count", "targets"),
    [(SHAPES[0], 1, 3), (SHAPES[-1], 1, 4), (SHAPES[0], 4, 4), (SHAPES[-1], 4, 5)],
)
def test_targets_hold_for_the_image_and_the_nodes_that_they_are_set_for(
    shape: Shape, count: int, targets: int
) -> None:
    way = Way(seconds=1, content=2, wire=3, tasks=4)
    figures = Taken(shape, count, way, way, way).figures()
    assert sum(figure.target is not None for figure in figures) == targets

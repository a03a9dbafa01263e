"""What probes are answered, whoever else is connected."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from nginx_ingress.health import MOST_CONNECTIONS, HealthServer, health_server

from ingress.tests.support.live import eventually

CHECKS = {"/livez": lambda: (True, "fine"), "/readyz": lambda: (False, "not serving")}


@pytest.fixture
def server() -> Iterator[HealthServer]:
    made = health_server(0, CHECKS)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def asked(server: HealthServer, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = (answer.status, answer.read().decode())
    connection.close()
    return found


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/livez", (200, "fine\n")),
        ("/readyz", (503, "not serving\n")),
        ("/", (404, "not found\n")),
    ],
)
def test_a_probe_is_answered_by_its_check(
    server: HealthServer, path: str, answer: tuple[int, str]
) -> None:
    assert asked(server, path) == answer


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\nX-Slow: "])
def test_who_holds_on_to_connections_keeps_no_probe_out(server: HealthServer, said: bytes) -> None:
    before = threading.active_count()
    with ExitStack() as opened:
        for _ in range(3 * MOST_CONNECTIONS):
            address = ("127.0.0.1", server.server_port)
            client = opened.enter_context(socket.create_connection(address, timeout=10))
            client.sendall(said)
        for _ in range(10):
            assert asked(server, "/livez") == (200, "fine\n")
        most = before + MOST_CONNECTIONS
        eventually("the others have ended", lambda: threading.active_count() <= most)

"""Many slow clients at one address, and whoever comes from another."""

from __future__ import annotations

import http.client
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from nginx_ingress.nginx import Nginx
from nginx_ingress.render import Settings

from ingress.tests.support.live import (
    WORKERS,
    Backend,
    Live,
    ask,
    backend,
    controller,
    eventually,
    free_ports,
)
from ingress.tests.support.objects import endpoint_slice, master, minion, path, service
from ingress.tests.support.slow import OTHER, Kind, held, may_open, slow_clients

HOST = "slow.example.com"
COUNTS = {Kind.NOTHING: 1500, Kind.BODY: 1500, Kind.UNREAD: 200, Kind.HEAD: 1500}
"""How many there are of each; a service has a thread for each that does not read its answer."""
SOFT_LIMIT = 1024
"""Of open files, as a container has it where nobody says otherwise."""


@pytest.fixture
def app() -> Iterator[Backend]:
    with backend("app") as running:
        yield running


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    """As many open files as a container has at first; the limit is put back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    may_open(SOFT_LIMIT)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def live(tmp_path: Path, files: None, app: Backend) -> Iterator[Live]:
    """A controller that has one host."""
    with controller(tmp_path) as running:
        for document in (
            service("tea"),
            endpoint_slice("tea", app.port),
            master("slow", host=HOST),
            minion("slow-app", "default", path("/"), host=HOST),
        ):
            running.api.put(document)
        eventually("the app answers", lambda: asked(running.http_port) == "app /")
        yield running


def asked(port: int) -> str:
    """What a client at another address is answered, on a connection of its own."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=10, source_address=(OTHER, 0)
    )
    answer = ask(connection, "/", HOST)
    return answer.body if answer.status == 200 else str(answer.status)


def test_slow_clients_of_one_address_keep_nobody_else_out(live: Live) -> None:
    may_open(sum(COUNTS.values()) + SOFT_LIMIT)
    with ExitStack() as opened:
        for kind, count in COUNTS.items():
            clients = slow_clients(live.http_port, kind, count, HOST, "/much")
            # They are all let in, or there would be nobody to be slow.
            assert held(opened.enter_context(clients)) == count
        assert {asked(live.http_port) for _ in range(100)} == {"app /"}
    assert "worker_connections are not enough" not in live.log()
    assert "Too many open files" not in live.log()


def test_connections_without_a_request_make_room(tmp_path: Path) -> None:
    """Where there is no room left, who asks goes before who does not."""
    http_port, https_port = free_ports(2)
    room = 256
    settings = Settings(
        tmp_path / "run", http_port, https_port, WORKERS, 2 * room, access_log="off"
    )
    nginx = Nginx("/usr/sbin/nginx", settings)
    may_open(2 * WORKERS * room + SOFT_LIMIT)
    try:
        nginx.apply(f'server {{ listen {http_port}; server_name {HOST}; return 200 "app /"; }}')
        with slow_clients(http_port, Kind.NOTHING, 2 * WORKERS * room, HOST) as clients:
            assert {asked(http_port) for _ in range(50)} == {"app /"}
            assert held(clients) < WORKERS * room
    finally:
        nginx.quit(0.0)

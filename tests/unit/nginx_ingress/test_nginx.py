"""The child process: what it takes, when it has taken it, and what is left when it has not."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nginx_ingress.nginx import ConfigRefused, Nginx, NginxError
from nginx_ingress.render import Settings

from tests.unit.nginx_ingress.live import WORKERS, Answer, ask_plainly, eventually, free_ports

NAP_SECONDS = 0.1
"""How long nginx lets old workers go on after it has started new ones."""
BROKEN = "server { listen nowhere:x; }"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    http_port, https_port = free_ports(2)
    return Settings(tmp_path / "run", http_port, https_port, WORKERS, access_log="off")


@pytest.fixture
def nginx(settings: Settings) -> Iterator[Nginx]:
    made = Nginx("/usr/sbin/nginx", settings)
    yield made
    made.quit(5.0)


def saying(text: str, settings: Settings) -> str:
    """A server that answers with a text."""
    return f'server {{ listen {settings.http_port}; server_name x; return 200 "{text}"; }}'


def answer(settings: Settings) -> Answer:
    return ask_plainly(settings.http_port, "x")


def pid(settings: Settings) -> int:
    return int((settings.run_dir / "nginx.pid").read_text())


def workers(settings: Settings) -> list[int]:
    """nginx's children."""
    children = Path(f"/proc/{pid(settings)}/task/{pid(settings)}/children")
    return [int(child) for child in children.read_text().split()]


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """A process that does nothing for a while."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_what_has_been_applied_is_what_every_connection_meets(
    nginx: Nginx, settings: Settings
) -> None:
    assert not nginx.running
    for text in ("one", "two", "three"):
        nginx.apply(saying(text, settings))
        assert {answer(settings).body for _ in range(50)} == {text}
    assert nginx.running


def test_a_reload_does_not_wait_for_nginx_s_own_nap(nginx: Nginx, settings: Settings) -> None:
    nginx.apply(saying("0", settings))
    tries = itertools.count(1)

    def is_quick() -> bool:
        time.sleep(2 * NAP_SECONDS)  # The one before is over.
        started = time.monotonic()
        nginx.apply(saying(f"{next(tries)}", settings))
        return time.monotonic() - started < NAP_SECONDS

    eventually("a quick reload", is_quick)
    # Workers that have been told to end are not replaced.
    time.sleep(2 * NAP_SECONDS)
    assert len(workers(settings)) == WORKERS


def test_a_reload_is_not_over_while_an_old_worker_takes_connections(
    nginx: Nginx, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nginx.apply(saying("old", settings))
    monkeypatch.setattr("nginx_ingress.nginx.CONFIRM_SECONDS", 0.5)
    with (
        stopped(workers(settings)[0]),
        pytest.raises(NginxError, match="not all connections met it"),
    ):
        nginx.apply(saying("new", settings))


def test_what_is_refused_changes_nothing(nginx: Nginx, settings: Settings) -> None:
    nginx.apply(saying("good", settings))
    before = (settings.run_dir / "nginx.conf").read_text()
    with pytest.raises(ConfigRefused, match="invalid port"):
        nginx.apply(BROKEN)
    assert (settings.run_dir / "nginx.conf").read_text() == before
    assert answer(settings).body == "good"
    assert sorted(path.name for path in settings.run_dir.glob("nginx.conf*")) == ["nginx.conf"]


def test_a_reload_that_does_not_come_about_is_an_error(
    nginx: Nginx, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nginx.apply(saying("before", settings))
    before = (settings.run_dir / "nginx.conf").read_text()
    monkeypatch.setattr("nginx_ingress.nginx.CONFIRM_SECONDS", 0.5)
    with stopped(pid(settings)):
        with pytest.raises(NginxError, match="not all connections met it"):
            nginx.apply(saying("never", settings))
        assert (settings.run_dir / "nginx.conf").read_text() == before
        assert answer(settings).body == "before"
    monkeypatch.undo()
    nginx.apply(saying("after", settings))
    assert {answer(settings).body for _ in range(50)} == {"after"}


def test_a_reload_is_not_over_while_an_earlier_one_s_workers_take_connections(
    nginx: Nginx, settings: Settings
) -> None:
    # nginx reads this for so long that the earlier reload comes about during the later one.
    nginx.apply(saying("old", settings) + "# slow\n" * 4_000_000)
    os.kill(pid(settings), signal.SIGHUP)
    nginx.apply(saying("new", settings))
    assert {answer(settings).body for _ in range(50)} == {"new"}


def test_a_start_that_fails_is_an_error(nginx: Nginx, settings: Settings) -> None:
    with (
        socket.create_server(("", settings.http_port)),
        pytest.raises(NginxError, match="nginx ended with code 1"),
    ):
        nginx.apply(saying("never", settings))
    assert nginx.exit_code == 1


def test_nginx_that_ended_has_an_exit_code(nginx: Nginx, settings: Settings) -> None:
    nginx.apply(saying("x", settings))
    assert nginx.running
    assert nginx.exit_code is None
    nginx.quit(5.0)
    assert [nginx.running, nginx.exit_code] == [False, 0]


def test_requests_that_do_not_finish_in_time_are_cut(nginx: Nginx, settings: Settings) -> None:
    nginx.apply(saying("x", settings))
    with socket.create_connection(("127.0.0.1", settings.http_port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert {answer(settings).body for _ in range(10)} == {"x"}
        nginx.quit(0.3)
        assert nginx.exit_code == 0


def test_certificates_are_for_their_owner_alone(nginx: Nginx, settings: Settings) -> None:
    nginx.add_certificates({"a.pem": b"a", "b.pem": b"b"})
    files = {path.name: path.read_bytes() for path in settings.certificates.iterdir()}
    assert files == {"a.pem": b"a", "b.pem": b"b"}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in settings.certificates.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(settings.certificates.stat().st_mode) == 0o700
    nginx.keep_certificates({"b.pem"})
    assert [path.name for path in settings.certificates.iterdir()] == ["b.pem"]

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
from dataclasses import replace
from pathlib import Path

import pytest
from nginx_ingress.nginx import ConfigRefused, Nginx, NginxError, reason_in
from nginx_ingress.render import Settings

from ingress.tests.support.live import WORKERS, Answer, ask_plainly, eventually, free_ports

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


def test_workers_that_cannot_end_yet_are_counted(nginx: Nginx, settings: Settings) -> None:
    assert nginx.leaving == 0
    nginx.apply(saying("old", settings))
    with socket.create_connection(("127.0.0.1", settings.http_port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        # Whoever is answered after it, by the same worker or another, came after it.
        assert {answer(settings).body for _ in range(10)} == {"old"}
        nginx.apply(saying("new", settings))
        eventually("the others have ended", lambda: len(workers(settings)) == WORKERS + 1)
        assert nginx.leaving == 1
    eventually("it has ended", lambda: nginx.leaving == 0)


def test_workers_are_seen_where_the_kernel_lists_no_children(
    nginx: Nginx, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_text = Path.read_text

    def read(path: Path, encoding: str | None = None, errors: str | None = None) -> str:
        if path.name == "children":
            raise FileNotFoundError(path)
        return read_text(path, encoding, errors)

    nginx.apply(saying("old", settings))
    worker = workers(settings)[0]
    monkeypatch.setattr("nginx_ingress.nginx.CONFIRM_SECONDS", 0.5)
    monkeypatch.setattr(Path, "read_text", read)
    with stopped(worker), pytest.raises(NginxError, match="not all connections met it"):
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


def test_what_a_predecessor_ran_is_run_again(nginx: Nginx, settings: Settings) -> None:
    assert not nginx.resume()
    for text in ("older", "old"):
        nginx.apply(saying(text, settings))
    nginx.quit(5.0)
    successor = Nginx("/usr/sbin/nginx", settings)
    try:
        assert successor.resume()
        assert answer(settings).body == "old"
        successor.apply(saying("new", settings))
        assert {answer(settings).body for _ in range(50)} == {"new"}
    finally:
        successor.quit(5.0)


@pytest.mark.parametrize("left", ["", "nonsense", 'return 200 "7"', "\xff"])
def test_what_is_no_configuration_of_a_predecessor_s_is_not_run(
    nginx: Nginx, settings: Settings, left: str
) -> None:
    (settings.run_dir / "nginx.conf").write_bytes(left.encode("latin-1"))
    assert not nginx.resume()
    nginx.apply(saying("new", settings))
    assert answer(settings).body == "new"


def test_what_was_run_with_other_settings_is_not_run(nginx: Nginx, settings: Settings) -> None:
    nginx.apply(saying("old", settings))
    nginx.quit(5.0)
    assert not Nginx("/usr/sbin/nginx", replace(settings, worker_processes=1)).resume()


def test_what_cannot_be_run_again_is_left(nginx: Nginx, settings: Settings) -> None:
    nginx.apply(saying("old", settings))
    nginx.quit(5.0)
    successor = Nginx("/usr/sbin/nginx", settings)
    with socket.create_server(("", settings.http_port)):
        assert not successor.resume()
    assert successor.exit_code is None
    successor.apply(saying("new", settings))
    assert answer(settings).body == "new"
    successor.quit(5.0)


@pytest.mark.parametrize("script", ["kill -9 $$", "exec sleep 30"], ids=["killed", "too slow"])
def test_a_test_that_is_not_carried_through_is_no_refusal(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr("nginx_ingress.nginx.TEST_SECONDS", 0.2)
    program = settings.run_dir.parent / "nginx"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    with pytest.raises(NginxError) as caught:
        Nginx(str(program), settings).test("")
    assert not isinstance(caught.value, ConfigRefused)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('nginx: [emerg] no "x" in /run/nginx.conf.test:7\n', 'no "x"'),
        (
            "2030/01/01 00:00:00 [emerg] 7#7: bind() failed (98: in use)\n",
            "bind() failed (98: in use)",
        ),
        ("[emerg] b in a in /x:1\nnginx: configuration file test failed", "b in a"),
        ("[emerg] in /x:y", "in /x:y"),
        ("something else\n", "something else"),
    ],
)
def test_a_reason_is_without_time_and_place(said: str, reason: str) -> None:
    assert reason_in(said) == reason


def test_a_reason_may_be_cut_within_a_character(nginx: Nginx, settings: Settings) -> None:
    problem = nginx.test(f"server {{ x{'ü' * 3000} x; }}")
    assert "ü" in problem


def test_certificates_are_for_their_owner_alone(nginx: Nginx, settings: Settings) -> None:
    nginx.add_certificates({"a.pem": b"a", "b.pem": b"b"})
    files = {path.name: path.read_bytes() for path in settings.certificates.iterdir()}
    assert files == {"a.pem": b"a", "b.pem": b"b"}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in settings.certificates.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(settings.certificates.stat().st_mode) == 0o700
    nginx.keep_certificates({"b.pem"})
    assert [path.name for path in settings.certificates.iterdir()] == ["b.pem"]

"""What is brought to nginx, and what is held back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from nginx_ingress.applied import Applied, Outcome
from nginx_ingress.decisions import Location, Server, Upstream
from nginx_ingress.model import Key, Snapshot, parse_endpoint_slice, parse_service
from nginx_ingress.nginx import ConfigRefused, Nginx, NginxError
from nginx_ingress.render import Settings

from tests.unit.nginx_ingress.objects import endpoint_slice, service


class Recorder(Nginx):
    """An nginx that refuses what contains ``/bad`` and writes down what it is given."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.trials = 0
        self.stuck = False

    def add_certificates(self, certificates: Mapping[str, bytes]) -> None:
        assert certificates == {}

    def keep_certificates(self, names: Collection[str]) -> None:
        assert names == set()

    def test(self, servers: str) -> str:
        self.trials += 1
        return "it is bad" if "/bad" in servers else ""

    def apply(self, servers: str) -> None:
        if "/bad" in servers:
            raise ConfigRefused("it is bad")
        if self.stuck:
            raise NginxError("stuck")
        self.given.append(servers)


@pytest.fixture
def nginx() -> Recorder:
    return Recorder()


@pytest.fixture
def applied(nginx: Recorder) -> Applied:
    return Applied(nginx, Settings(Path("/run/test")))


def server(host: str, path: str) -> Server:
    source = Key("default", "tea")
    upstream = Upstream(f"tea-{host}", source, 80)
    return Server(host, source, (Location(path, False, source, upstream),))


def servers(**paths: str) -> dict[str, Server]:
    return {host: server(host, f"/{path}") for host, path in paths.items()}


def snapshot(port: int = 8080) -> Snapshot:
    tea, endpoints = parse_service(service("tea")), endpoint_slice("tea", port)
    parsed = parse_endpoint_slice(endpoints)
    return Snapshot(services={tea.key: tea}, slices={parsed.key: parsed})


def test_the_same_is_given_once(nginx: Recorder, applied: Applied) -> None:
    assert applied.apply({}, snapshot()) == Outcome()
    assert len(nginx.given) == 1
    for _ in range(3):
        assert applied.apply(servers(a="x", b="y"), snapshot()) == Outcome()
    assert applied.apply(servers(b="y", a="x"), snapshot()) == Outcome()
    assert len(nginx.given) == 2


def test_endpoints_alone_are_given(nginx: Recorder, applied: Applied) -> None:
    applied.apply(servers(a="x"), snapshot(8080))
    applied.apply(servers(a="x"), snapshot(9090))
    assert "127.0.0.1:8080" in nginx.given[0]
    assert "127.0.0.1:9090" in nginx.given[1]


def test_a_refused_host_keeps_what_it_had_and_others_go_on(
    nginx: Recorder, applied: Applied
) -> None:
    applied.apply(servers(a="old", b="old", gone="old"), snapshot(8080))
    outcome = applied.apply(servers(a="bad", b="new", c="new"), snapshot(9090))
    assert outcome == Outcome({"a": "it is bad"})
    last = nginx.given[-1]
    assert [name in last for name in ("tea-a", "tea-b", "tea-c", "tea-gone")] == [
        *(True, True, True, False)
    ]
    assert (last.count('"/old"'), last.count('"/new"')) == (1, 2)
    assert "8080" not in last.replace("listen 8080", "")

    assert applied.apply(servers(a="good", b="new", c="new"), snapshot(9090)) == Outcome()
    assert '"/good"' in nginx.given[-1]


def test_a_host_that_was_never_good_is_not_served(nginx: Recorder, applied: Applied) -> None:
    assert applied.apply(servers(a="bad", b="x"), snapshot()) == Outcome({"a": "it is bad"})
    assert "tea-a" not in nginx.given[-1]
    assert "tea-b" in nginx.given[-1]


def test_what_stays_refused_is_not_given_again(nginx: Recorder, applied: Applied) -> None:
    for _ in range(3):
        assert applied.apply(servers(a="bad", b="x"), snapshot()).failures == {"a": "it is bad"}
    assert len(nginx.given) == 1
    assert nginx.trials == len("ab") + len("a") + len("a")


def test_a_reload_that_fails_is_the_failure_of_what_changed_and_not_settled(
    nginx: Recorder, applied: Applied
) -> None:
    applied.apply(servers(a="x", b="x"), snapshot())
    nginx.stuck = True
    outcome = applied.apply(servers(a="x", b="y", c="x"), snapshot())
    assert outcome == Outcome({"b": "stuck", "c": "stuck"}, settled=False)
    nginx.stuck = False
    assert applied.apply(servers(a="x", b="y", c="x"), snapshot()) == Outcome()

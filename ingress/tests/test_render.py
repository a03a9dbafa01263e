"""Decisions to text, and what nginx itself makes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nginx_ingress.annotations import annotation_errors, location_directives
from nginx_ingress.decisions import Location, Server, Tls, Upstream
from nginx_ingress.model import Key, Snapshot, parse_endpoint_slice, parse_service
from nginx_ingress.nginx import Nginx
from nginx_ingress.render import Settings, endpoints_of, quote, render_config, render_server

from ingress.tests.support.objects import Document, endpoint_slice, service

SOURCE = Key("default", "tea")
TEA = Upstream("tea", SOURCE, 80)


def text_of(server: Server, *slices: Document, settings: Settings | None = None) -> str:
    tea = parse_service(service("tea"))
    snapshot = Snapshot(services={tea.key: tea})
    endpoints = endpoints_of(parse_endpoint_slice(document) for document in slices)
    settings = settings or Settings(Path("/run/test"))
    return render_server(server, snapshot, endpoints, settings)


def server_of(*locations: Location, tls: Tls | None = None) -> Server:
    return Server("cafe.example.com", Key("default", "master"), locations, tls)


def location(path: str, *, exact: bool = False, upstream: Upstream = TEA) -> Location:
    return Location(path, exact, SOURCE, upstream)


def test_an_upstream_has_all_ready_endpoints_of_its_port() -> None:
    first = endpoint_slice("tea", 8080, addresses=("10.0.0.2", "10.0.0.1"))
    first["endpoints"] += [
        {"addresses": ["10.0.0.3"], "conditions": {"ready": False}},
        {"addresses": ["10.0.0.4", "10.0.0.5"], "conditions": {}},
    ]
    first["ports"].append({"name": "admin", "port": 9090})
    second = endpoint_slice("tea", 8080, addresses=("fd00::1", "10.0.0.1"))
    second["addressType"] = "IPv6"
    second["endpoints"].pop()
    third = endpoint_slice("tea", 8080, namespace="other", addresses=("10.9.9.9",))
    text = text_of(server_of(location("/")), first, second, third)
    assert re.findall(r"server (\S+:\d+);", text) == [
        "10.0.0.1:8080",
        "10.0.0.2:8080",
        "10.0.0.4:8080",
        "[fd00::1]:8080",
    ]


@pytest.mark.parametrize("port", [80, "http"])
def test_a_port_is_found_by_number_or_name(port: int | str) -> None:
    text = text_of(
        server_of(location("/", upstream=Upstream("tea", SOURCE, port))),
        endpoint_slice("tea", 8080),
    )
    assert "server 127.0.0.1:8080;" in text


@pytest.mark.parametrize(
    "upstream",
    [
        Upstream("tea", SOURCE, 81),
        Upstream("tea", SOURCE, "admin"),
        Upstream("tea", Key("default", "milk"), 80),
    ],
    ids=["unknown-number", "unknown-name", "unknown-service"],
)
def test_what_leads_nowhere_has_no_live_server(upstream: Upstream) -> None:
    text = text_of(server_of(location("/", upstream=upstream)), endpoint_slice("tea", 8080))
    assert re.findall(r"^ +server (\S+.*;)", text, re.M) == ["127.0.0.1:1 down;"]


def test_prefix_and_exact_are_nginx_s_own() -> None:
    text = text_of(server_of(location("/tea"), location("/beans", exact=True)))
    assert re.findall(r"location (.*) \{", text) == ['"/tea"', '= "/beans"', "/"]


@pytest.mark.parametrize(("exact", "fallbacks"), [(False, 0), (True, 1)])
def test_what_nobody_serves_is_404(exact: bool, fallbacks: int) -> None:
    text = text_of(server_of(location("/", exact=exact)))
    assert text.count("return 404;") == fallbacks


def test_two_paths_to_one_service_share_its_upstream() -> None:
    assert text_of(server_of(location("/a"), location("/b"))).count("upstream ") == 1


def test_quote_keeps_any_text_one_word() -> None:
    assert quote('a"b\\c') == '"a\\"b\\\\c"'


def test_nginx_takes_whatever_validation_lets_through(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "run")
    paths = ['/a\\"b', "/a{2}", "/$host", "/#", "/'", "/\\x", "/ü", "/a\\\\", "/~", "/a|b"]
    rewrite = Location(
        '/q"/', False, SOURCE, TEA, '/"\\#', True, (("proxy_read_timeout", "1h 1m"),)
    )
    server = server_of(*(location(path) for path in paths), rewrite)
    text = text_of(server, endpoint_slice("tea", 8080), settings=settings)
    assert Nginx("/usr/sbin/nginx", settings).test(text) == ""


@pytest.mark.parametrize(
    "value",
    [
        {"client-max-body-size": "0", "proxy-buffering": "0", "proxy-read-timeout": "0"},
        {"client-max-body-size": "4294967296g", "proxy-buffering": "True"},
        {f"proxy-{kind}-timeout": "1y1M1w1d1h1m1s1ms" for kind in ("connect", "read", "send")},
        {f"proxy-{kind}-timeout": f"{2**62 // 1000}" for kind in ("connect", "read", "send")},
    ],
)
def test_nginx_takes_every_value_that_is_valid(tmp_path: Path, value: dict[str, str]) -> None:
    annotations = {f"nginx.org/{name}": text for name, text in value.items()}
    assert annotation_errors(annotations, ()) == []
    settings = Settings(tmp_path / "run")
    directives = location_directives(annotations, {})
    server = server_of(Location("/", False, SOURCE, TEA, directives=directives))
    text = text_of(server, endpoint_slice("tea", 8080), settings=settings)
    assert all(f"{name} " in text for name, _ in directives)
    assert Nginx("/usr/sbin/nginx", settings).test(text) == ""


def test_nginx_s_reason_is_the_same_wherever_the_mistake_is(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "run")
    nginx = Nginx("/usr/sbin/nginx", settings)
    text = text_of(server_of(location("/"), location("/")), settings=settings)
    assert nginx.test(text) == nginx.test(f"\n\n{text}") == 'duplicate location "/"'


def test_the_configuration_names_its_version_and_where_to_write() -> None:
    text = render_config("# servers", 7, Settings(Path("/run/test"), access_log="off"))
    assert 'return 200 "7";' in text
    assert "listen unix:/run/test/status.sock;" in text
    assert "access_log off;" in text
    assert "# servers" in text
    written = re.findall(r"_temp_path (\S+);", text)
    assert len(written) == 5
    assert all(path.startswith("/run/test/") for path in written)

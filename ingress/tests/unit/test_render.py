"""Decisions to text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nginx_ingress.decisions import Upstream
from nginx_ingress.model import Key
from nginx_ingress.render import Settings, quote, render_config

from ingress.tests.support.objects import endpoint_slice
from ingress.tests.support.servers import SOURCE, location, server_of, text_of


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


def test_the_configuration_names_its_version_and_where_to_write() -> None:
    text = render_config("# servers", 7, Settings(Path("/run/test"), access_log="off"))
    assert 'return 200 "7";' in text
    assert "listen unix:/run/test/status.sock;" in text
    assert "access_log off;" in text
    assert "# servers" in text
    written = re.findall(r"_temp_path (\S+);", text)
    assert len(written) == 5
    assert all(path.startswith("/run/test/") for path in written)


def test_a_worker_has_room_for_both_ends_of_a_request_and_its_files() -> None:
    text = render_config("", 1, Settings(Path("/run/test"), open_files=3000))
    assert "worker_rlimit_nofile 3000;" in text
    assert "worker_connections 1500;" in text


@pytest.mark.parametrize(
    ("directive", "most"),
    [
        ("client_header_timeout", 20),
        ("client_body_timeout", 30),
        ("send_timeout", 30),
        ("keepalive_timeout", 65),
    ],
)
def test_who_is_slow_has_a_place_for_so_long(directive: str, most: int) -> None:
    text = render_config("", 1, Settings(Path("/run/test")))
    assert re.findall(rf"\n    {directive} (\d+)s;", text) == [str(most)]

"""The configuration as nginx itself takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from nginx_ingress.annotations import annotation_errors, location_directives
from nginx_ingress.decisions import Location
from nginx_ingress.nginx import Nginx
from nginx_ingress.render import Settings

from ingress.tests.support.objects import endpoint_slice
from ingress.tests.support.servers import SOURCE, TEA, location, server_of, text_of


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
        {"proxy-buffer-size": "1m", "proxy-buffers": "4 1m"},
        {"proxy-buffer-size": "1k", "proxy-buffers": "2 1024", "proxy-busy-buffers-size": "1k"},
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
    assert all(f"{name} " in text for name, *_ in directives)
    assert Nginx("/usr/sbin/nginx", settings).test(text) == ""


def test_nginx_takes_headers_and_redirects_of_any_path(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "run")
    headers = (
        ("X-Quoted", '"\\;{}#é'),
        ("X-Asked", None),
        ("Host", "a.test"),
        ("x" * 100, '"' * 2000),
        ("y" * 100, None),
    )
    paths = ['/"(a)[b]*+?|^./', "/é/", "/a%41/", "/$a/", "/x/"]
    more = [
        Location(path, False, SOURCE, TEA, rewrite, headers=headers, redirects=True)
        for path in paths
        for rewrite in ("/", "/x/")
    ]
    for each in more:
        text = text_of(server_of(each), endpoint_slice("tea", 8080), settings=settings)
        assert Nginx("/usr/sbin/nginx", settings).test(text) == "", text


def test_nginx_s_reason_is_the_same_wherever_the_mistake_is(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "run")
    nginx = Nginx("/usr/sbin/nginx", settings)
    text = text_of(server_of(location("/"), location("/")), settings=settings)
    assert nginx.test(text) == nginx.test(f"\n\n{text}") == 'duplicate location "/"'

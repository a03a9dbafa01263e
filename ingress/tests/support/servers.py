"""Servers with their locations, and the configuration that is made of them."""

from __future__ import annotations

from pathlib import Path

from nginx_ingress.decisions import Location, Server, Tls, Upstream
from nginx_ingress.model import Key, Snapshot, parse_endpoint_slice, parse_service
from nginx_ingress.render import Settings, endpoints_of, render_server

from ingress.tests.support.objects import Document, service

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

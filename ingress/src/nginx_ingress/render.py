"""Decisions to the text of nginx's configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from nginx_ingress.decisions import Server, Upstream
from nginx_ingress.model import EndpointSlice, Key, Snapshot

VERSION_BEFORE, VERSION_AFTER = 'return 200 "', '"'
"""What stands around the version in a configuration, which has it before any server's text."""

Endpoints = Mapping[tuple[Key, str], tuple[str, ...]]
"""Addresses with port (``10.0.0.1:8080``) by Service and name of its port."""


@dataclass(frozen=True)
class Settings:
    """What a configuration depends on beside the cluster.

    ``run_dir`` is where everything is written. The ports are those that nginx listens on;
    ``worker_processes`` and ``access_log`` are nginx's own settings.
    """

    run_dir: Path
    http_port: int = 8080
    https_port: int = 8443
    worker_processes: int = 1
    access_log: str = "/dev/stdout main"
    worker_shutdown_timeout: str = "300s"

    @property
    def certificates(self) -> Path:
        """The folder of certificates with their keys."""
        return self.run_dir / "certificates"

    @property
    def status_socket(self) -> Path:
        """Where workers answer with the version of their configuration."""
        return self.run_dir / "status.sock"


def quote(text: object) -> str:
    """``text`` as one word of nginx's language, whatever it contains."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["quote"] = quote


def endpoints_of(slices: Iterable[EndpointSlice]) -> Endpoints:
    """The ready endpoints of all Services."""
    found: dict[tuple[Key, str], set[str]] = {}
    for each in slices:
        for name, number in each.ports.items():
            addresses = found.setdefault((each.service, name), set())
            addresses.update(f"{address}:{number}" for address in each.addresses)
    return {service_port: tuple(sorted(addresses)) for service_port, addresses in found.items()}


def render_server(
    server: Server, snapshot: Snapshot, endpoints: Endpoints, settings: Settings
) -> str:
    """The upstreams and the server block of one host."""
    upstreams = dict.fromkeys(location.upstream for location in server.locations)
    return _templates.get_template("server.conf.j2").render(
        server=server,
        upstreams=[(each, _addresses(each, snapshot, endpoints)) for each in upstreams],
        certificates=settings.certificates,
        http_port=settings.http_port,
        https_port=settings.https_port,
    )


def render_config(servers: str, version: int, settings: Settings) -> str:
    """The whole configuration around the servers' text; workers answer with ``version``."""
    return _templates.get_template("nginx.conf.j2").render(
        servers=servers,
        version=version,
        run_dir=settings.run_dir,
        status_socket=settings.status_socket,
        http_port=settings.http_port,
        https_port=settings.https_port,
        worker_processes=settings.worker_processes,
        worker_shutdown_timeout=settings.worker_shutdown_timeout,
        access_log=settings.access_log,
    )


def _addresses(upstream: Upstream, snapshot: Snapshot, endpoints: Endpoints) -> tuple[str, ...]:
    """Where requests go; nowhere if the Service, its port or a ready endpoint is not there."""
    port = upstream.port
    if isinstance(port, int):
        service = snapshot.services.get(upstream.service)
        name = service.ports.get(port) if service else None
        if name is None:
            return ()
        port = name
    return endpoints.get((upstream.service, port), ())

"""Decisions to the text of nginx's configuration."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from nginx_ingress.decisions import Location, Server, Upstream
from nginx_ingress.model import EndpointSlice, Key, Snapshot

VERSION_BEFORE, VERSION_AFTER = 'return 200 "', '"'
"""What stands around the version in a configuration, which has it before any server's text."""

OPEN_FILES = 16_384
"""How many files a worker may have open where the system lets it."""

Endpoints = Mapping[tuple[Key, str], tuple[str, ...]]
"""Addresses with port (``10.0.0.1:8080``) by Service and name of its port."""


@dataclass(frozen=True)
class Settings:
    """What a configuration depends on beside the cluster.

    ``run_dir`` is where everything is written. The ports are those that nginx listens on;
    ``worker_processes`` and ``access_log`` are nginx's own settings. ``open_files`` is how many
    files a worker may have open, connections among them.
    """

    run_dir: Path
    http_port: int = 8080
    https_port: int = 8443
    worker_processes: int = 1
    open_files: int = OPEN_FILES
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


def headers(location: Location, server: Server) -> Iterator[tuple[str, str]]:
    """What a service is sent: each header with a word of nginx's language."""
    named = {name.lower() for name, _ in location.headers}
    for name, value in location.headers:
        asked = f"$http_{name.lower().replace('-', '_')}"
        yield name, asked if value is None else quote(value)
    usual = {
        "Host": "$host",
        "X-Real-IP": "$remote_addr",
        "X-Forwarded-For": "$proxy_add_x_forwarded_for",
        "X-Forwarded-Host": "$host",
        "X-Forwarded-Port": "$public_port",
        # Clients may say what they like of it: a service believes who is in front of it.
        "X-Forwarded-Prefix": '""',
        "X-Forwarded-Proto": "https" if server.https.redirect_forwarded else "$scheme",
        **({"Upgrade": "$http_upgrade"} if location.websocket else {}),
        "Connection": "$connection_upgrade" if location.websocket else '""',
    }
    yield from ((name, word) for name, word in usual.items() if name.lower() not in named)


def redirects(location: Location, host: str) -> tuple[str, str] | None:
    """Which redirects of a service lack the path in front of it, and what to make of them.

    They are those to its own host whose path begins with the rewrite, as the service knows no
    other, and not with what is in front of it, of which it does know then.
    """
    path, rewrite = urllib.parse.quote(location.path, safe=_SAFE), location.rewrite
    may_be = location.redirects and not location.exact and "$" not in path and path != rewrite
    if not (may_be and path.endswith("/") and rewrite.endswith("/")):
        return None
    front = path.removesuffix(rewrite) if path.endswith(rewrite) else path[:-1]
    name = r"[^/:]+" + re.escape(host[1:]) if host.startswith("*.") else re.escape(host)
    origin = rf"(?:https?://{name}(?::(?:80|443))?)?"
    others = rf"(?!//|{re.escape(front)}(?:[/?#]|$))"
    return f"~^{origin}{others}{re.escape(rewrite)}(.*)$", f"{path}$1"


_SAFE = "/:@!$&'()*+,="
"""What a redirect has as it is of a path, beside letters, digits and the like."""

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["quote"] = quote
_templates.globals |= {"headers": headers, "redirects": redirects}


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
        open_files=settings.open_files,
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

"""Names below ``localhost``: wherever they are asked for, they are that machine (RFC 6761, 6.3).

Browsers and curl know that by themselves, and so does systemd-resolved. The embedded cluster
answers them at ports of 127.0.0.1, so its services are opened by a click, without a name server
or a hosts file that knows of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ADDRESS = "127.0.0.1"
"""Where they lead, and where this machine's ports for nodes are: no other machine reaches them."""

USUAL_PORTS = {"http": 80, "https": 443}

Ports = Mapping[str, int]
"""The ports of this machine, by protocol, that lead to the ingress controller."""

NO_PORTS: Ports = MappingProxyType({})


def is_here(host: str, ports: Ports) -> bool:
    """Whether a host is asked at ports of this machine."""
    return bool(ports) and f".{host}".endswith(".localhost")


def url(scheme: str, host: str, path: str, ports: Ports) -> str:
    """The address of a path as a user types it."""
    port = ports[scheme] if is_here(host, ports) else USUAL_PORTS[scheme]
    shown = "" if port == USUAL_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{shown}{path}"

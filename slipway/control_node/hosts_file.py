"""Host names as lines of a hosts file, for machines whose name servers do not know them.

A name that says its address (``demo.172-29-255-200.nip.io``) and one that a name server of the
user's own knows need no line; where neither is to be had, as in a closed net, the lines do.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping

from slipway.waiting import answered

RESOLVE_SECONDS = 2.0
"""How long all names together may take; one whose name server does not answer is not known."""


def name_lines(addresses: Mapping[str, str]) -> list[str]:
    """A line for each address, with all of its hosts; ``addresses`` are by host.

    A host without an address, or one that is reached by another name, has none.
    """
    found: dict[str, list[str]] = {}
    for host, address in sorted(addresses.items()):
        if _is_address(address):
            found.setdefault(address, []).append(host)
    return [f"{address} {' '.join(hosts)}" for address, hosts in sorted(found.items())]


def unresolved(addresses: Mapping[str, str], seconds: float = RESOLVE_SECONDS) -> dict[str, str]:
    """The hosts, with their addresses, that do not resolve to them on this machine."""
    known = resolved(addresses, seconds)
    return {host: address for host, address in addresses.items() if address not in known[host]}


def resolved(hosts: Iterable[str], seconds: float = RESOLVE_SECONDS) -> dict[str, set[str]]:
    """The addresses of each host as this machine knows them."""
    names = [*hosts]
    known = answered(names, _resolved, seconds)
    return {host: known.get(host, set()) for host in names}


def _resolved(host: str) -> set[str]:
    """The addresses of a host as this machine knows them; none when it does not."""
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

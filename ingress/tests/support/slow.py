"""Clients that hold on to their connections, from an address of this machine's loopback."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum

SLOW, OTHER = "127.0.0.2", "127.0.0.3"
"""The address of all slow clients, and that of somebody else."""

_ESTABLISHED = 1
_SMALL_SEGMENT = 536
"""In bytes. With loopback's own, what waits for a client on its way would be megabytes."""


class Kind(Enum):
    """What a client sends before it waits, and goes on waiting."""

    NOTHING = ""
    HEAD = "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Slow: "
    BODY = "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\nhalf"
    UNREAD = "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    """All of a request, whose answer it does not read."""


def may_open(files: int) -> None:
    """Let this process have so many files open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard), hard))


@contextmanager
def slow_clients(
    port: int, kind: Kind, count: int, host: str, path: str = "/"
) -> Iterator[Sequence[socket.socket]]:
    """So many connections that have sent what is of their kind, and nothing since.

    Some may have been turned away; they are no more once somebody is not let in at all.
    """
    said = kind.value.format(host=host, path=path).encode()
    with ExitStack() as opened:
        clients = []
        for _ in range(count):
            client = opened.enter_context(socket.socket())
            client.settimeout(5)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SMALL_SEGMENT)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.bind((SLOW, 0))
            clients.append(client)
            try:
                client.connect(("127.0.0.1", port))
                client.sendall(said)
            except TimeoutError:
                break
            except ConnectionError:
                continue
        yield clients


def held(clients: Sequence[socket.socket]) -> int:
    """How many connections the other side has neither closed nor reset."""
    states = [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] for each in clients]
    return states.count(_ESTABLISHED)

"""Bytes on their way to nodes, counted outside of what is measured."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from docker.models.containers import Container

ENGINE = "/var/run/docker.sock"
CHUNK = 1 << 16


def received(node: Container) -> int:
    """Bytes that the node's network interfaces have received since it was started."""
    counters = node.stats(stream=False, one_shot=True)["networks"].values()
    return sum(int(each["rx_bytes"]) for each in counters)


class EngineMeter(socketserver.ThreadingUnixStreamServer):
    """A socket that stands before the container engine's and counts what is sent to the engine.

    What reaches a node as the input of a command passes here, with the requests around it.
    """

    def __init__(self, path: Path, engine: str) -> None:
        super().__init__(str(path), _Relay)
        self.engine = engine
        self.sent: list[int] = []
        """Bytes of each connection that has ended."""


class _Relay(socketserver.BaseRequestHandler):
    """One connection, both ways."""

    server: EngineMeter

    def handle(self) -> None:
        """Pass on until both sides have ended."""
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.server.engine)
            answers = threading.Thread(target=_pass_on, args=(engine, self.request))
            answers.start()
            self.server.sent.append(_pass_on(self.request, engine))
            answers.join()


def _pass_on(source: socket.socket, target: socket.socket) -> int:
    """Copy until the end of ``source``, tell ``target`` about it, return the number of bytes."""
    count = 0
    with suppress(OSError):  # an end that hangs up has said all it had to say
        while data := source.recv(CHUNK):
            target.sendall(data)
            count += len(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
    return count


@contextmanager
def metered_engine(folder: Path, engine: str = ENGINE) -> Iterator[EngineMeter]:
    """A meter at ``folder/engine.sock`` for as long as this lasts."""
    with EngineMeter(folder / "engine.sock", engine) as meter:
        thread = threading.Thread(target=meter.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield meter
        finally:
            meter.shutdown()
            thread.join()
            Path(str(meter.server_address)).unlink()

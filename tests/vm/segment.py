"""A network segment for virtual machines, which this machine is on, too.

Its bridge is in a network namespace of its own, where no rules of this machine's engine hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network

from slipway.run import run
from tests.vm.machine import Hypervisor, Nic


@dataclass(frozen=True)
class Segment:
    """Addresses of a segment: the first is this machine's."""

    name: str
    network: IPv4Network

    @property
    def host(self) -> str:
        """This machine's address."""
        return str(self.network[1])

    def address(self, number: int) -> str:
        """The address of a machine."""
        return str(self.network[10 + number])

    def nic(self, number: int) -> Nic:
        """How a machine is on the segment."""
        return Nic(
            namespace=self.name,
            port=f"port{number}",
            mac=f"52:54:00:00:00:{10 + number:02x}",
            address=self.address(number),
            host=self.host,
            netmask=str(self.network.netmask),
        )


SEGMENT = Segment("slipway-vms", IPv4Network("172.25.0.0/24"))


@contextmanager
def laid_out(segment: Segment, hypervisor: Hypervisor, machines: int) -> Iterator[Segment]:
    """The segment with a place for each machine, for as long as it is needed."""
    name = segment.name
    _ip("netns", "add", name)
    try:
        inside = ("-n", name)
        _ip("link", "add", name, "type", "veth", "peer", "host", "netns", name)
        _ip(*inside, "link", "add", "bridge", "type", "bridge")
        ports = ["host"]
        for number in range(machines):
            port = segment.nic(number).port
            for command in hypervisor.plug(port):
                _ip(*inside, *command)
            ports.append(port)
        for port in ports:
            _ip(*inside, "link", "set", port, "master", "bridge", "up")
        _ip(*inside, "link", "set", "bridge", "up")
        _ip("address", "add", f"{segment.host}/{segment.network.prefixlen}", "dev", name)
        _ip("link", "set", name, "up")
        yield segment
    finally:
        _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    argv: Sequence[str] = ["ip", *arguments]
    run(argv, what="network segment")

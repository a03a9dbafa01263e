"""A network segment for virtual machines, which this machine is on, too.

Its bridge is in a network namespace of its own, where no rules of this machine's engine hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network

from slipway.run import run
from tests.vm.machine import Nic

NETMASK = "255.255.255.0"


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
        address = self.address(number)
        return Nic(
            address=address,
            port=22,
            netdev=f"tap,id=net,ifname=vm{number},script=no,downscript=no",
            mac=f"52:54:00:00:00:{10 + number:02x}",
            ip=f"{address}::{self.host}:{NETMASK}::eth0:off",
            prefix=("ip", "netns", "exec", self.name),
        )


@contextmanager
def laid_out(segment: Segment, machines: int) -> Iterator[Segment]:
    """The segment with a place for each machine, for as long as it is needed."""
    name = segment.name
    _ip("netns", "add", name)
    try:
        inside = ("-n", name)
        _ip("link", "add", name, "type", "veth", "peer", "host", "netns", name)
        _ip(*inside, "link", "add", "bridge", "type", "bridge")
        for number in range(machines):
            _ip(*inside, "tuntap", "add", f"vm{number}", "mode", "tap")
        ports = ["host", *(f"vm{number}" for number in range(machines))]
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

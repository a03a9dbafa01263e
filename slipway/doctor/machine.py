"""A machine as the module machine_look has seen it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from slipway.doctor.findings import Result, Unknown, fail, warn
from slipway.nodes.distributions import Distribution, known_as
from slipway.preflight import Inventory

T = TypeVar("T")


class System(Struct, frozen=True):
    """The distribution and the kernel."""

    id: str
    like: list[str]
    version: str
    name: str
    kernel: str
    processor: str
    bits: int
    wsl: bool
    systemd: bool
    python: str
    user: int

    @property
    def distribution(self) -> Distribution:
        """The distribution, as far as its packages are known."""
        return known_as([self.id, *self.like], self.name)


class SELinux(Struct, frozen=True):
    """Whether it enforces, and whether it has labels for files of containers."""

    enforces: bool
    knows_containers: bool


class Firewalld(Struct, frozen=True):
    """Its zones, as it lists them, and the one of interfaces that are in none; empty without it."""

    default: str
    zones: list[str]


class Ufw(Struct, frozen=True):
    """What it says of itself, and the rules that were added to it, by line; empty without it."""

    status: list[str]
    added: list[str]

    @property
    def is_active(self) -> bool:
        """Whether it stops anything."""
        return "Status: active" in self.status


class Memory(Struct, frozen=True):
    """Bytes."""

    total: int
    swap: int


class Inotify(Struct, frozen=True):
    """How much a user may watch."""

    instances: int
    watches: int


class ControlGroups(Struct, frozen=True):
    """Their version (0 for none), the controllers, and whether they are mounted for writing."""

    version: int
    controllers: list[str]
    writable: bool


class Forwarding(Struct, frozen=True):
    """Whether packets are forwarded, and the files that end it at the next boot."""

    on: bool
    ended_by: list[str]


class Place(Struct, frozen=True):
    """A path, the file system that it is on or will be, and the room there."""

    path: str
    device: int
    mount: str
    kind: str
    options: list[str]
    writable: bool
    size: int
    free: int
    inodes: int
    inodes_free: int


class Route(Struct, frozen=True):
    """A network that the machine has a way to."""

    to: str
    device: str
    protocol: str = ""


class Address(Struct, frozen=True):
    """One of the machine's own."""

    address: str
    length: int
    device: str


class Taken(Struct, frozen=True):
    """How many addresses were asked for, and which of them somebody has."""

    asked: int
    found: list[str]


class Use(Enum):
    """What a machine is for."""

    CONTROL_NODE = "it builds, and carries images to the nodes"
    HOST = "the nodes are its containers as well"
    CONTROL_PLANE = "a node"
    WORKER = "another node"


@dataclass(frozen=True)
class Cluster:
    """What the machines are to be, and whether they are it already.

    ``inventory`` has names and addresses. ``bundles_to_make`` says how many are not there, ``made``
    whether the nodes are; ``routed`` whether the pod network is Slipway's own.
    """

    name: str
    inventory: Inventory
    bundles_to_make: int
    made: bool
    routed: bool = True


@dataclass(frozen=True)
class Machine:
    """A machine, what it is for, and what was read of it; see :func:`known` for ``facts``."""

    name: str
    use: Use
    facts: Mapping[str, Any]
    unknown: Mapping[str, str]
    made: bool = False
    """Whether it is a node already."""

    @property
    def is_node(self) -> bool:
        """Whether it is a node itself."""
        return self.use in (Use.CONTROL_PLANE, Use.WORKER)

    @property
    def has_pods(self) -> bool:
        """Whether pods run with its kernel."""
        return self.use is not Use.CONTROL_NODE

    @property
    def has_control_plane(self) -> bool:
        """Whether a control plane runs with its memory and processor."""
        return self.use in (Use.HOST, Use.CONTROL_PLANE)

    def hinders(self, found: str, fix: str) -> Result:
        """What keeps a machine from becoming a node; one that is a node already bears it."""
        return warn(found, fix) if self.made else fail(found, fix)

    def known(self, fact: str, kind: type[T]) -> T:
        """A fact; raises Unknown with the reason if it could not be read."""
        if fact not in self.facts:
            raise Unknown(self.unknown.get(fact, f"{fact} was not read"))
        return msgspec.convert(self.facts[fact], kind)

    @property
    def system(self) -> System:
        """The distribution and the kernel."""
        return self.known("system", System)

    @property
    def bounds(self) -> dict[str, float]:
        """What control groups and limits leave of it."""
        return self.known("bounds", dict[str, float])

    @property
    def routes(self) -> list[Route]:
        """The networks that it has a way to."""
        return self.known("routes", list[Route])

    @property
    def addresses(self) -> list[Address]:
        """Its own."""
        return self.known("addresses", list[Address])

    @property
    def places(self) -> dict[str, Place]:
        """The file systems that matter, by what they are for."""
        return self.known("places", dict[str, Place])


def size(number: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, to be compared."""
    found = []
    for part in version.replace("-", ".").replace("+", ".").split("."):
        if not part.isdigit():
            break
        found.append(int(part))
    return tuple(found)

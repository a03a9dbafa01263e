"""Distributions of Linux: which of their packages have what a node needs, and how they install."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

GENERAL = {
    "cp": "coreutils",
    "ip": "iproute2",
    "losetup": "util-linux",
    "mount": "util-linux",
    "python3": "python3",
    "umount": "util-linux",
}
"""What is needed -> the package that has it where a family says nothing else."""

SELINUX = "rules of SELinux for containers"
NEWER_PYTHON = "a newer Python beside the system's own"
MODULES = "modules of the kernel that are not in its first package"


@dataclass(frozen=True)
class Family:
    """Distributions with the same packages: how they install, and what they call what is needed."""

    install: str
    packages: Mapping[str, str]

    def command(self, needed: Iterable[str]) -> str:
        """The command that installs what is ``needed``; empty if there is no package for it."""
        names = {self.packages.get(each) or GENERAL.get(each) for each in needed}
        return f"{self.install} {' '.join(sorted(map(str, names)))}" if None not in names else ""


_DEBIAN = Family("apt-get install -y", dict.fromkeys(("losetup", "mount", "umount"), "mount"))
_UBUNTU = Family(
    _DEBIAN.install, {**_DEBIAN.packages, MODULES: '"linux-modules-extra-$(uname -r)"'}
)
_RED_HAT = Family(
    "dnf install -y",
    {
        "ip": "iproute",
        SELINUX: "container-selinux",
        NEWER_PYTHON: "python3.11",
        MODULES: '"kernel-modules-extra-$(uname -r)"',
    },
)
_SUSE = Family(
    "zypper --non-interactive install",
    {SELINUX: "container-selinux", NEWER_PYTHON: "python311", MODULES: "kernel-default"},
)
_ARCH = Family("pacman -S --noconfirm", {"python3": "python"})

FAMILIES = {
    "debian": _DEBIAN,
    "ubuntu": _UBUNTU,
    "rhel": _RED_HAT,
    "fedora": _RED_HAT,
    "centos": _RED_HAT,
    "rocky": _RED_HAT,
    "almalinux": _RED_HAT,
    "ol": _RED_HAT,
    "amzn": _RED_HAT,
    "openEuler": _RED_HAT,
    "suse": _SUSE,
    "opensuse": _SUSE,
    "sles": _SUSE,
    "arch": _ARCH,
}
"""By the identifiers of os-release(5)."""


@dataclass(frozen=True)
class Distribution:
    """A machine's distribution, as people call it, and the family that is known of it."""

    name: str = "its distribution"
    family: Family | None = None

    def install(self, needed: Iterable[str]) -> str:
        """The command that installs what is ``needed``; empty if it is not known."""
        return self.family.command(needed) if self.family else ""


def distribution(os_release: Iterable[str]) -> Distribution:
    """The distribution that the lines of a machine's ``os-release`` tell of."""
    said = dict(_assignments(os_release))
    known = [said.get("ID", ""), *said.get("ID_LIKE", "").split()]
    return known_as(known, said.get("PRETTY_NAME", ""))


def known_as(names: Sequence[str], title: str) -> Distribution:
    """The distribution with these identifiers, its own first and then those that it is like."""
    family = next((FAMILIES[name] for name in names if name in FAMILIES), None)
    return Distribution(title or names[0] or Distribution.name, family)


def _assignments(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, is_one, value = line.strip().partition("=")
        if is_one and not name.startswith("#"):
            try:
                yield name, " ".join(shlex.split(value))
            except ValueError:  # a quote without its end
                yield name, value

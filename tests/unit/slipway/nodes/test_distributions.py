"""What each distribution calls what a node needs, by its own os-release."""

from __future__ import annotations

import pytest

from slipway.nodes.distributions import NEWER_PYTHON, SELINUX, distribution

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nID=debian\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\n'
MINT = 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\nPRETTY_NAME="Linux Mint 22"\n'
RASPBIAN = 'PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"\nID=raspbian\nID_LIKE=debian\n'
RHEL = 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n'
ROCKY = 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\n'
ALMA = 'NAME="AlmaLinux"\nID="almalinux"\nID_LIKE="rhel centos fedora"\n'
STREAM = 'NAME="CentOS Stream"\nID="centos"\nID_LIKE="rhel fedora"\n'
ORACLE = 'NAME="Oracle Linux Server"\nID="ol"\nID_LIKE="fedora"\n'
FEDORA = 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=41\n'
AMAZON = 'NAME="Amazon Linux"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n'
OPENEULER = 'NAME="openEuler"\nID="openEuler"\nVERSION_ID="22.03"\n'
LEAP = 'NAME="openSUSE Leap"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\n'
TUMBLEWEED = 'NAME="openSUSE Tumbleweed"\nID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n'
SLES = 'NAME="SLES"\nVERSION="15-SP6"\nID="sles"\nID_LIKE="suse"\n'
ARCH = "NAME='Arch Linux'\nPRETTY_NAME='Arch Linux'\nID=arch\nBUILD_ID=rolling\n"
MANJARO = 'NAME="Manjaro Linux"\nID=manjaro\nID_LIKE=arch\n'

ON_DEBIAN = "apt-get install -y iproute2 mount"
ON_RED_HAT = "dnf install -y iproute util-linux"
ON_SUSE = "zypper --non-interactive install iproute2 util-linux"
ON_ARCH = "pacman -S --noconfirm iproute2 util-linux"


@pytest.mark.parametrize(
    ("release", "command"),
    [
        *((release, ON_DEBIAN) for release in (DEBIAN, UBUNTU, MINT, RASPBIAN)),
        *((release, ON_RED_HAT) for release in (RHEL, ROCKY, ALMA, STREAM, ORACLE)),
        *((release, ON_RED_HAT) for release in (FEDORA, AMAZON, OPENEULER)),
        *((release, ON_SUSE) for release in (LEAP, TUMBLEWEED, SLES)),
        *((release, ON_ARCH) for release in (ARCH, MANJARO)),
    ],
)
def test_what_a_machine_lacks_is_installed_as_its_distribution_does(
    release: str, command: str
) -> None:
    assert distribution(release.splitlines()).install(["ip", "mount", "losetup"]) == command


@pytest.mark.parametrize(
    ("release", "needed", "command"),
    [
        (DEBIAN, "python3", "apt-get install -y python3"),
        (ARCH, "python3", "pacman -S --noconfirm python"),
        (ROCKY, "cp", "dnf install -y coreutils"),
        (FEDORA, SELINUX, "dnf install -y container-selinux"),
        (SLES, SELINUX, "zypper --non-interactive install container-selinux"),
        (SLES, NEWER_PYTHON, "zypper --non-interactive install python311"),
        (RHEL, NEWER_PYTHON, "dnf install -y python3.11"),
        (UBUNTU, SELINUX, ""),
        (ARCH, NEWER_PYTHON, ""),
    ],
)
def test_names_that_differ_are_the_distribution_s_own(
    release: str, needed: str, command: str
) -> None:
    assert distribution(release.splitlines()).install([needed]) == command


@pytest.mark.parametrize(
    ("release", "name"),
    [
        (
            'NAME="Alpine Linux"\nID=alpine\nPRETTY_NAME="Alpine Linux v3.20"\n',
            "Alpine Linux v3.20",
        ),
        ("ID=nixos\n", "nixos"),
        ('# nothing\n\nID="debian\nPRETTY_NAME\n', '"debian'),
        ("", "its distribution"),
    ],
)
def test_of_others_no_command_is_made_up(release: str, name: str) -> None:
    found = distribution(release.splitlines())
    assert (found.name, found.install(["ip"])) == (name, "")

"""Packages of Debian's archive on machines that know nothing of its keys, and its nft alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from slipway.architecture import Architecture
from slipway.bundle.debian import Archive, make_rootfs
from slipway.errors import SlipwayError
from tests.support.checkout import VERSIONS
from tests.support.real_bundle import real_bundle

SUITE = VERSIONS["debian"]
KEYS = Path("images", f"debian-{SUITE}.asc")

NFT = real_bundle() / "nft"
SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"

RULES = """
table ip slipway {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 10.244.1.0/24 ip daddr != 10.244.0.0/16 masquerade
    }
}
"""
"""As the pod network has them."""

PORT = {
    "cniVersion": "1.0.0",
    "name": "slipway",
    "type": "portmap",
    "backend": "nftables",
    "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]},
    "prevResult": {"cniVersion": "1.0.0", "ips": [{"address": "10.244.1.5/24"}]},
}
"""What containerd tells portmap of a pod with a port of its node."""


@pytest.fixture
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file without keys, on a machine whose package manager trusts none, as one of Ubuntu's."""
    nothing = tmp_path / "nothing.gpg"
    nothing.touch()
    (tmp_path / "trusted").mkdir()
    config = tmp_path / "apt.conf"
    config.write_text(
        f'Dir::Etc::Trusted "{nothing}";\nDir::Etc::TrustedParts "{tmp_path}/trusted";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(config))
    return nothing


def archive(keys: Path) -> Archive:
    """Debian's packages for this machine."""
    return Archive(SUITE, Architecture.here(), keys)


def test_the_keys_that_the_project_has_are_enough(no_keys: Path, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"NO_PUBKEY|Missing key"):
        make_rootfs(archive(no_keys), "extract", ["base-files"], tmp_path / "x.tar")
    packages = make_rootfs(archive(KEYS), "extract", ["base-files"], tmp_path / "x.tar")
    assert "base-files" in packages


@pytest.mark.parametrize("variant", ["extract", "essential"])
def test_packages_are_recorded_as_the_signed_index_of_the_archive_has_them(
    tmp_path: Path, variant: str
) -> None:
    packages = make_rootfs(archive(KEYS), variant, ["conntrack"], tmp_path / "x.tar")
    found = packages["conntrack"]
    assert found.source == "conntrack-tools"
    assert found.architecture == Architecture.here()
    assert ("dpkg" in packages) == (variant == "essential")
    assert all(re.fullmatch("[0-9a-f]{64}", each.sha256) for each in packages.values())


def test_so_are_those_for_machines_of_another_processor(tmp_path: Path) -> None:
    (other,) = {*Architecture} - {Architecture.here()}
    of_others = Archive(SUITE, other, KEYS)
    packages = make_rootfs(of_others, "extract", ["conntrack"], tmp_path / "x.tar")
    assert {each.architecture for each in packages.values()} <= {other, "all"}
    assert packages["conntrack"].architecture == other
    assert all(re.fullmatch("[0-9a-f]{64}", each.sha256) for each in packages.values())


def in_a_network_of_its_own(*argv: str | Path, **options: Any) -> str:
    """What a program says there."""
    command = ["unshare", "--map-root-user", "--net", *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_its_nft_makes_rules_and_lists_them(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(RULES)
    program = NFT / "nft"
    both = f"'{program}' -f '{tmp_path}/rules' && '{program}' list tables"
    assert in_a_network_of_its_own("sh", "-c", both) == "table ip slipway\n"


def test_its_nft_needs_nothing_of_the_machine_but_a_kernel(tmp_path: Path) -> None:
    shutil.copytree(NFT, tmp_path / "nft")
    loader = next(NFT.glob("ld-linux*")).name
    command = [f"/nft/{loader}", "--library-path", "/nft", "/nft/nft.bin", "--version"]
    said = in_a_network_of_its_own("chroot", tmp_path, *command)
    assert said.startswith("nftables v1.")


def test_portmap_gives_a_pod_a_port_of_its_node_by_that_nft() -> None:
    portmap = real_bundle() / "cni" / "portmap"
    call = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "pod",
        "CNI_IFNAME": "eth0",
        "CNI_NETNS": "/proc/self/ns/net",
        "CNI_NETNS_OVERRIDE": "true",  # a pod's own would make no difference here
        "CNI_PATH": "/",
        "PATH": f"{NFT}:{SYSTEM}",
    }
    made = in_a_network_of_its_own(
        *("sh", "-euc", f"ip link set lo up; '{portmap}' >&2; nft list ruleset"),
        input=json.dumps(PORT),
        env=call,
    )
    assert "tcp dport 8080 dnat" in made
    assert "10.244.1.5:80" in made

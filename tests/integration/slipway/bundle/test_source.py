"""Parts of a bundle for machines of another processor: compiled here, and run by QEMU."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from slipway.architecture import Architecture
from slipway.bundle import parts
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.control_node import emulation, tools
from slipway.locks import locked
from tests.support.checkout import PROJECT, VERSIONS

(OTHER,) = {*Architecture} - {Architecture.here()}

SMALL = ("cni_plugins", "pause", "runc", "packages-nft", "image-nft")
"""What is quickly made, with and without C, of Go and of Debian's packages."""


NETLINK = "Unable to initialize Netlink socket"
"""The first that nft does is to ask for a socket, and QEMU has none to the kernel's filter."""


@pytest.fixture(scope="module")
def made() -> dict[str, Path]:
    """The small parts of such a bundle, which stay in the cache."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
    cache = CacheLayout(root)
    provider = SourceProvider(PROJECT, VERSIONS, cache, OTHER)
    tools.have(provider.tools, print)
    emulation.have(OTHER, print)
    wanted = {*SMALL}
    for part in reversed(provider.parts):
        if part.name in wanted:
            wanted.update(part.needs)
    chosen = [part for part in provider.parts if part.name in wanted]
    cache.bundles.mkdir(parents=True, exist_ok=True)
    with locked(cache.bundle_lock, "the bundle"):
        return parts.make(chosen, cache.bundle_parts, print)


def said(*argv: str | Path, env: dict[str, str] | None = None, stdin: str = "") -> str:
    """What a program says."""
    done = subprocess.run(
        argv, env=env, input=stdin, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_runc_is_of_that_processor_and_has_seccomp(made: dict[str, Path]) -> None:
    runc = made["runc"] / "bin" / "runc"
    assert runc.read_bytes()[:20][18:] == emulation.program(OTHER)[18:20]
    assert f"runc version {VERSIONS['runc']}" in said(runc, "--version")
    assert "libseccomp: 2." in said(runc, "--version")


def test_runc_needs_nothing_else(made: dict[str, Path], tmp_path: Path) -> None:
    """It is linked statically, as C is with what nodes may not have."""
    (tmp_path / "runc").write_bytes((made["runc"] / "bin" / "runc").read_bytes())
    (tmp_path / "runc").chmod(0o755)
    assert "libseccomp" in said("chroot", tmp_path, "/runc", "--version")


@pytest.mark.parametrize("name", ["bridge", "firewall", "host-local", "loopback", "portmap"])
def test_plugins_of_the_pod_network_answer(made: dict[str, Path], name: str) -> None:
    plugin = made["cni_plugins"] / "cni" / name
    asked = said(plugin, env={"CNI_COMMAND": "VERSION"}, stdin='{"cniVersion": "1.0.0"}')
    assert '"1.0.0"' in asked


def test_nft_has_all_that_it_loads_beside_it_and_runs_as_far_as_qemu_lets_it(
    made: dict[str, Path],
) -> None:
    folder = made["image-nft"] / "nft"
    (loader,) = folder.glob("ld-linux*")
    listed = said(loader, "--library-path", folder, "--list", folder / "nft.bin")
    found = re.findall(r"=> (\S+) \(", listed)
    assert {Path(path).parent for path in found} == {folder}
    assert "not found" not in listed
    done = subprocess.run(
        [folder / "nft", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, NETLINK in done.stderr) == (3, True)

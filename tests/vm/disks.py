"""The disks of the virtual machine, made once and kept: its system, and what it could not fetch."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plugins.filter.image_ref import node_image_refs
from slipway.architecture import Architecture
from slipway.bundle.provider import ensure
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.control_node.tools import ENGINE_SECONDS, Engine
from slipway.nodes import containers, image
from slipway.run import run
from slipway.waiting import allowed, wait_until
from tests.support.checkout import PROJECT, VERSIONS
from tests.vm.kept import kept

CHECKOUT = "/root/slipway"
"""Where the machine has the checkout."""

CACHE = "/root/.cache/slipway"
"""Slipway's cache on the machine, where the second disk is mounted."""

LABEL = "slipway"
"""By which the second disk is found, whatever the machine calls its disks."""

ENGINE = "engine"
"""The folder of the second disk that is the data of the machine's Docker."""

RECIPE = 3
"""Raised when the way of making the disks changes."""

SUITE = "trixie"

PYTHON = "3.13"
"""That of the suite."""

MACHINE = (
    *("linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "systemd", "udev", "dbus"),
    *("openssh-server", "ca-certificates", "curl", "iproute2", "kmod", "procps", "iptables"),
)
NODE = ("python3", "conntrack", "nftables")
"""What a node needs that is not on every machine."""

CONTROL_NODE = (*("docker.io", "docker-cli", "git", "make", "mmdebstrap", "python3-venv"),)
"""What Slipway would install."""

REQUIREMENTS = (
    *("requirements.txt", "requirements.yml"),
    *("requirements-collections.txt", "requirements-collections.sha256"),
)
BOOTSTRAP = ("bin/bootstrap", "bin/install_collections.py")
"""What the Python environment is made of."""

FILES = {
    # Nobody answers there; the cluster's name server wants one that it can ask.
    "etc/resolv.conf": "nameserver 172.25.0.1\n",
}

SIZES = {"system": "24G", "cache": "16G"}
"""Of files with holes: only what is written takes space."""


@dataclass(frozen=True)
class Disks:
    """What a machine is started from: its disks in order, and Debian's kernel with its own disk."""

    disks: tuple[Path, ...]
    kernel: Path
    initrd: Path
    mounts: tuple[str, ...] = ()
    """What is mounted beside the system, as systemd.mount-extra= has it."""

    @classmethod
    def of(cls, system: Path, *others: Path, mounts: tuple[str, ...] = ()) -> Disks:
        """Those of a machine with a system that was made, and with further disks."""
        return cls((system / "disk", *others), system / "kernel", system / "initrd", mounts)


def control_node(cache: Path, say: Callable[[str], None]) -> Disks:
    """A machine with what Slipway needs, this checkout's Python environment, and its cache."""
    folder = folder_of(cache)
    system, data = _control_node(folder, say), _cache(folder, cache, say)
    mounts = (
        f"LABEL={LABEL}:{CACHE}:ext4:nobarrier",
        f"{CACHE}/{ENGINE}:/var/lib/docker:none:bind",
    )
    return Disks.of(system, data / "disk", mounts=mounts)


def node(cache: Path, say: Callable[[str], None]) -> Disks:
    """A bare machine that can be made a node."""
    folder = folder_of(cache)
    with kept(folder, "node", RECIPE, SUITE, MACHINE, NODE, FILES, SIZES) as (system, unfinished):
        if unfinished:
            _write_system(unfinished, (*MACHINE, *NODE), (), say)
    return Disks.of(system)


def folder_of(cache: Path) -> Path:
    """Where the disks are, below Slipway's cache."""
    folder = cache / "vm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _at_checkout(names: Iterable[str]) -> str:
    """Files of this checkout, as a shell takes them."""
    return shlex.join(str(PROJECT / name) for name in names)


def _control_node(folder: Path, say: Callable[[str], None]) -> Path:
    """Debian with what Slipway needs of a machine, and the checkout's Python environment."""
    recipes = [(PROJECT / name).read_text() for name in (*REQUIREMENTS, *BOOTSTRAP)]
    made_of = (RECIPE, SUITE, MACHINE, CONTROL_NODE, FILES, SIZES, recipes)
    with kept(folder, "control-node", *made_of) as (target, unfinished):
        if unfinished is None:
            return target
        say("fetching Python packages for it")
        wheels = unfinished / "wheels"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        pip += ["--only-binary=:all:", f"--python-version={PYTHON}", f"--dest={wheels}"]
        pip += [f"--requirement={PROJECT / name}" for name in REQUIREMENTS if name.endswith("txt")]
        run(pip, what="Python packages")
        hooks = (
            f'mkdir --parents "$1{CHECKOUT}/bin" "$1{CACHE}"',
            f"copy-in {shlex.quote(str(wheels))} /",
            f"copy-in {_at_checkout(REQUIREMENTS)} {CHECKOUT}",
            f"copy-in {_at_checkout(BOOTSTRAP)} {CHECKOUT}/bin",
            'chroot "$1" env --ignore-environment PATH=/usr/bin:/bin HOME=/root PIP_NO_INDEX=1'
            f" PIP_FIND_LINKS=/wheels {CHECKOUT}/bin/bootstrap",
            'rm --recursive "$1/wheels"',
        )
        _write_system(unfinished, (*MACHINE, *CONTROL_NODE), hooks, say)
        shutil.rmtree(wheels)
    return target


def _write_system(
    place: Path, packages: Iterable[str], hooks: Iterable[str], say: Callable[[str], None]
) -> None:
    """Lay out a Debian, and write its disk, its kernel and the disk for its start."""
    say("installing Debian (three minutes)")
    root = place / "root"
    argv = ["mmdebstrap", "--mode=root", "--variant=apt"]
    argv += [f"--include={','.join(packages)}", "--aptopt=Apt::Install-Recommends false"]
    networkd = 'chroot "$1" systemctl enable systemd-networkd'
    argv += [f"--customize-hook={hook}" for hook in (*hooks, networkd)]
    run([*argv, SUITE, root], what="the machine's system")
    for name, text in FILES.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text, encoding="ascii")
    for name, pattern in {"kernel": "vmlinuz-*", "initrd": "initrd.img-*"}.items():
        (newest,) = (root / "boot").glob(pattern)
        shutil.copyfile(newest, place / name)
    say("writing its disk")
    _write_disk(place / "disk", root, SIZES["system"])
    shutil.rmtree(root)


def _cache(folder: Path, cache: Path, say: Callable[[str], None]) -> Path:
    """The bundle and the node image: to make them there would take hours."""
    layout = CacheLayout(cache)
    own = SourceProvider(PROJECT, VERSIONS, layout, Architecture.here())
    bundle = ensure(own, layout, say).path
    made_of = (RECIPE, SIZES, image.RECIPE, bundle.name)
    with kept(folder, "cache", *made_of) as (target, unfinished):
        if unfinished is None:
            return target
        root = unfinished / "root"
        (root / "bundle").mkdir(parents=True)
        shutil.copytree(bundle, root / "bundle" / bundle.name, copy_function=os.link)
        with _engine(cache, say):
            machine = f"bundle.slipway.internal/node:{VERSIONS['debian']}"
            client = containers.connect()
            name = image.preloaded(
                client, bundle, machine, say, node_image_refs(VERSIONS, control_plane=True)
            )
            say("taking the node image along")
            archive = unfinished / "node.tar"
            run(["docker", "save", "--output", archive, name], what="node image")
        _load(archive, unfinished / ENGINE)
        (root / ENGINE).mkdir()
        for part in ("image", "overlay2"):
            (unfinished / ENGINE / part).rename(root / ENGINE / part)
        _write_disk(unfinished / "disk", root, SIZES["cache"], "-L", LABEL)
        archive.unlink()
        for leftover in (root, unfinished / ENGINE):
            shutil.rmtree(leftover)
    return target


@contextmanager
def _engine(cache: Path, say: Callable[[str], None]) -> Iterator[None]:
    """This machine's engine, running for as long as it is needed."""
    engine = Engine(CacheLayout(cache).engine)
    if engine.answers():
        yield
        return
    engine.start(say)
    try:
        yield
    finally:
        if engine.is_ours() and not engine.has_containers():
            engine.stop()


def _load(archive: Path, data: Path) -> None:
    """Have an engine of its own lay out an image as it would on the machine, where it takes long.

    It has the same driver for storage, and a network namespace of its own: an engine without a
    bridge removes that of the one beside it.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        socket = f"unix://{folder}/socket"
        argv = [
            *("unshare", "--net"),
            *("dockerd", "--storage-driver=overlay2", "--bridge=none", "--iptables=false"),
            *(f"--data-root={data}", f"--exec-root={folder}/run", f"--pidfile={folder}/pid"),
            f"--host={socket}",
        ]
        with (Path(folder) / "log").open("w+b") as log:
            engine = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                docker = ["docker", f"--host={socket}"]
                asked = [*docker, "info"]
                wait_until(
                    lambda: (
                        subprocess.run(asked, capture_output=True, check=False).returncode == 0
                        or engine.poll() is not None
                    ),
                    allowed(ENGINE_SECONDS),
                )
                run([*docker, "load", "--input", archive], what="node image")
            finally:
                engine.terminate()
                engine.wait(allowed(ENGINE_SECONDS))


def _write_disk(disk: Path, root: Path, size: str, *options: str) -> None:
    """A file system of the files below ``root``."""
    argv = ["mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", *options]
    run([*argv, "-d", root, disk, size], what=f"file system {disk.name}")

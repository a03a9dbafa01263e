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

import yaml

from slipway.bundle.keys import key_of
from slipway.bundle.provider import ensure
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.control_node.tools import ENGINE_SECONDS, Engine
from slipway.nodes import containers, image
from slipway.run import run
from slipway.waiting import allowed, wait_until

PROJECT = Path(__file__).resolve().parents[2]

CHECKOUT = "/root/slipway"
"""Where the machine has the checkout."""

CACHE = "/root/.cache/slipway"
"""Slipway's cache on the machine, where the second disk is mounted."""

ENGINE = "engine"
"""The folder of the second disk that is the data of the machine's Docker."""

RECIPE = 1
"""Raised when the way of making the disks changes."""

SUITE = "trixie"

PYTHON = "3.13"
"""That of the suite."""

PACKAGES = (
    *("linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "systemd", "udev", "dbus"),
    *("openssh-server", "ca-certificates", "curl", "iproute2", "kmod", "procps"),
    # What Slipway would install.
    *("docker.io", "docker-cli", "iptables", "git", "make", "maven", "mmdebstrap"),
    *("default-jdk-headless", "python3-venv"),
)

REQUIREMENTS = ("requirements.txt", "requirements.yml", "requirements-collections.txt")
BOOTSTRAP = ("bin/bootstrap", "bin/install_collections.py")
"""What the Python environment is made of."""

FILES = {
    "etc/hostname": "slipway-vm\n",
    "etc/fstab": f"/dev/vda / ext4 defaults 0 1\n/dev/vdb {CACHE} ext4 defaults 0 2\n",
    # What qemu's user network gives: the addresses are always these.
    "etc/resolv.conf": "nameserver 10.0.2.3\n",
    "etc/systemd/network/machine.network": (
        "[Match]\nName=en*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
    ),
}

SIZES = {"system": "24G", "cache": "16G"}
"""Of files with holes: only what is written takes space."""


@dataclass(frozen=True)
class Disks:
    """What a machine is started from: its disks in order, its kernel, the disk for its start."""

    system: Path
    cache: Path
    kernel: Path
    initrd: Path


def versions() -> dict[str, str]:
    """The lock."""
    text = (PROJECT / "group_vars/all/versions.yml").read_text(encoding="utf-8")
    locked: dict[str, str] = yaml.safe_load(text)["slipway_versions"]
    return locked


def have(cache: Path, say: Callable[[str], None]) -> Disks:
    """The disks for this checkout, below Slipway's ``cache``; those of another go."""
    folder = cache / "vm"
    folder.mkdir(parents=True, exist_ok=True)
    system = _system(folder, say)
    data = _cache(folder, cache, say)
    for other in folder.iterdir():
        if other not in (system, data):
            shutil.rmtree(other)
    return Disks(system / "disk", data / "disk", system / "kernel", system / "initrd")


def _at_checkout(names: Iterable[str]) -> str:
    """Files of this checkout, as a shell takes them."""
    return shlex.join(str(PROJECT / name) for name in names)


def _system(folder: Path, say: Callable[[str], None]) -> Path:
    """Debian with what Slipway needs of a machine, and the checkout's Python environment."""
    recipes = [(PROJECT / name).read_text() for name in (*REQUIREMENTS, *BOOTSTRAP)]
    target = folder / f"system-{key_of(RECIPE, SUITE, PACKAGES, FILES, SIZES, recipes)[:16]}"
    with _made(target) as unfinished:
        if unfinished is None:
            return target
        say("fetching Python packages for it")
        wheels = unfinished / "wheels"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--only-binary=:all:", f"--python-version={PYTHON}", f"--dest={wheels}"]
        pip += [f"--requirement={PROJECT / name}" for name in REQUIREMENTS if name.endswith("txt")]
        run(pip, what="Python packages")
        say("installing Debian (three minutes)")
        root = unfinished / "root"
        hooks = [
            f'mkdir --parents "$1{CHECKOUT}/bin" "$1{CACHE}"',
            f"copy-in {shlex.quote(str(wheels))} /",
            f"copy-in {_at_checkout(REQUIREMENTS)} {CHECKOUT}",
            f"copy-in {_at_checkout(BOOTSTRAP)} {CHECKOUT}/bin",
            'chroot "$1" env --ignore-environment PATH=/usr/bin:/bin HOME=/root PIP_NO_INDEX=1'
            f" PIP_FIND_LINKS=/wheels {CHECKOUT}/bin/bootstrap",
            'rm --recursive "$1/wheels"',
            'chroot "$1" systemctl enable systemd-networkd',
        ]
        argv = ["mmdebstrap", "--mode=root", "--variant=apt"]
        argv += [f"--include={','.join(PACKAGES)}", "--aptopt=Apt::Install-Recommends false"]
        argv += [f"--customize-hook={hook}" for hook in hooks]
        run([*argv, SUITE, root], what="the machine's system")
        for name, text in FILES.items():
            (root / name).unlink(missing_ok=True)
            (root / name).write_text(text, encoding="ascii")
        for name, pattern in {"kernel": "vmlinuz-*", "initrd": "initrd.img-*"}.items():
            (newest,) = (root / "boot").glob(pattern)
            shutil.copyfile(newest, unfinished / name)
        say("writing its disk")
        _write_disk(unfinished / "disk", root, SIZES["system"])
        for leftover in (root, wheels):
            shutil.rmtree(leftover)
    return target


def _cache(folder: Path, cache: Path, say: Callable[[str], None]) -> Path:
    """The bundle and the node image: to make them there would take hours."""
    layout = CacheLayout(cache)
    bundle = ensure(SourceProvider(PROJECT, versions(), layout), layout, say).path
    target = folder / f"cache-{key_of(RECIPE, SIZES, image.RECIPE, bundle.name)[:16]}"
    with _made(target) as unfinished:
        if unfinished is None:
            return target
        root = unfinished / "root"
        (root / "bundle").mkdir(parents=True)
        shutil.copytree(bundle, root / "bundle" / bundle.name, copy_function=os.link)
        with _engine(cache, say):
            machine = f"bundle.slipway.internal/node:{versions()['debian']}"
            client = containers.connect()
            name = image.preloaded(client, bundle, machine, say)
            say("taking the node image along")
            archive = unfinished / "node.tar"
            run(["docker", "save", "--output", archive, name], what="node image")
        _load(archive, unfinished / ENGINE)
        (root / ENGINE).mkdir()
        for part in ("image", "overlay2"):
            (unfinished / ENGINE / part).rename(root / ENGINE / part)
        _write_disk(unfinished / "disk", root, SIZES["cache"])
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


@contextmanager
def _made(target: Path) -> Iterator[Path | None]:
    """An empty folder that becomes ``target`` when all is done; None where that is there."""
    if target.is_dir():
        yield None
        return
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    yield unfinished
    unfinished.rename(target)


def _write_disk(disk: Path, root: Path, size: str) -> None:
    """A file system of the files below ``root``."""
    argv = ["mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", str(root), str(disk), size]
    run(argv, what=f"file system {disk.name}")

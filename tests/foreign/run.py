"""Have a bundle made for machines of another processor, and every program of it run by QEMU."""

from __future__ import annotations

import argparse
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipway.architecture import Architecture
from slipway.bundle.provider import ensure
from slipway.bundle.recipes import Recipe, recipes
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.control_node import emulation
from slipway.errors import Problem, SlipwayError
from slipway.interrupts import watched_signals
from slipway.oci import ImageStore
from slipway.run import run
from tests.support.checkout import PROJECT, VERSIONS, cache_folder

Says = tuple[Sequence[str], str]
"""What a program is asked, and what it has to say, with ``{name}`` for a version of the lock."""

PLUGIN: Says = ((), '"supportedVersions"')
"""A CNI plugin, which is asked by its environment (VERSION in the CNI's specification)."""

NETLINK = "Unable to initialize Netlink socket"
"""How far nft comes: QEMU has no socket to the kernel's packet filter, which it asks for first."""

PROGRAMS: Mapping[str, Says] = {
    "bin/containerd": (["--version"], "v{containerd}"),
    "bin/containerd-shim-runc-v2": (["-v"], "v{containerd}"),
    "bin/ctr": (["--version"], "v{containerd}"),
    "bin/kubeadm": (["version"], "v{kubernetes}"),
    "bin/kubectl": (["version", "--client"], "v{kubernetes}"),
    "bin/kubelet": (["--version"], "v{kubernetes}"),
    "bin/runc": (["--version"], "libseccomp: 2."),
    "cni/bridge": PLUGIN,
    "cni/firewall": PLUGIN,
    "cni/host-local": PLUGIN,
    "cni/loopback": PLUGIN,
    "cni/portmap": PLUGIN,
    "haproxy/haproxy": (["-v"], "HAProxy version 3."),
    "keepalived/keepalived": (["--help"], "--vrrp"),
    "nft/nft": (["--version"], NETLINK),
    "tools/buildctl": (["--version"], "v{buildkit}"),
    "tools/buildkitd": (["--version"], "v{buildkit}"),
    "tools/docker-buildx": (["version"], "github.com/docker/buildx"),
    "tools/docker-registry": (["--version"], "github.com/docker/distribution"),
    "tools/helm": (["version"], "v{helm}"),
}
"""The bundle's programs, by their places."""

IMAGES: Mapping[str, Sequence[Says]] = {
    "coredns": [(["/coredns", "-version"], "CoreDNS-{coredns}")],
    "etcd": [
        (["/usr/local/bin/etcd", "--version"], "etcd Version: {etcd}"),
        (["/usr/local/bin/etcdctl", "version"], "etcdctl version: {etcd}"),
        (["/usr/local/bin/etcdutl", "version"], "etcdutl version: {etcd}"),
    ],
    "jre": [(["sh", "-c", "$JAVA_HOME/bin/java -version 2>&1"], 'version "{jre}.')],
    "kube_apiserver": [(["/usr/local/bin/kube-apiserver", "--version"], "v{kubernetes}")],
    "kube_controller_manager": [
        (["/usr/local/bin/kube-controller-manager", "--version"], "v{kubernetes}")
    ],
    "kube_proxy": [
        (["/usr/local/bin/kube-proxy", "--version"], "v{kubernetes}"),
        (["/usr/sbin/nft", "--version"], NETLINK),
    ],
    "kube_scheduler": [(["/usr/local/bin/kube-scheduler", "--version"], "v{kubernetes}")],
    "local_path_provisioner": [
        (["/usr/bin/local-path-provisioner", "--version"], "v{local_path_provisioner}")
    ],
    "maven": [
        (["mvn", "--version"], "Java version: {jre}."),
        (["git", "--version"], "git version 2."),
    ],
    "metallb_controller": [(["/controller", "--help"], "")],
    "metallb_speaker": [(["/speaker", "--help"], "")],
    "network_policies": [(["/network-policies", "--help"], "")],
    "metrics_server": [(["/metrics-server", "--version"], "v{metrics_server}")],
    "nginx_ingress": [
        (["sh", "-c", "nginx -v 2>&1"], "nginx/1."),
        (["python3", "-c", "import nginx_ingress; print('imported')"], "imported"),
    ],
    "node": [(["systemctl", "--version"], "systemd 2"), (["python3", "--version"], "Python 3.")],
    "pause": [(["/pause"], "")],
    "python": [(["python3", "--version"], "Python {python}.")],
}
"""The images' programs, by the images."""

PORTABLE = {"haproxy", "keepalived", "nft"}
"""Folders of a program with all that it loads."""

WAITING = {"pause"}
"""Images whose program waits until it is told to end, and ends well then."""

OF_DEBIAN = {"tools/docker-buildx", "tools/docker-registry"}
"""Programs outside of images that load libraries of the machine that they are on."""

LIBRARIES = "python"
"""The image with these libraries. Whoever needs none does not get along with QEMU's way to them."""


def main() -> int:
    """Make the bundle and run all; the exit code is 1 when something does not run."""
    others = [each.value for each in Architecture if each is not Architecture.here()]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("architecture", nargs="?", default=others[0], choices=[*Architecture])
    architecture = Architecture.of(parser.parse_args().architecture)
    layout = CacheLayout(cache_folder())
    try:
        with watched_signals():
            _make_and_run(architecture, layout)
    except SlipwayError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    _say(f"all programs for {architecture} run")
    return 0


def _make_and_run(architecture: Architecture, layout: CacheLayout) -> None:
    """Raise SlipwayError with each program that does not run."""
    provider = SourceProvider(PROJECT, VERSIONS, layout, architecture)
    bundle = ensure(provider, layout, _say).path
    emulation.have(architecture, _say)
    problems = [*_of_programs(bundle, architecture), *_of_images(bundle, architecture)]
    if problems:
        raise SlipwayError(problems)


def _say(text: str) -> None:
    print(text, flush=True)


def _recipes(architecture: Architecture) -> list[Recipe]:
    """Those of the bundle's images; others are made when somebody asks for them."""
    found = recipes(PROJECT / "images", VERSIONS, architecture)
    return [each for each in found if each.ref and not each.over and not each.upstream]


@contextmanager
def _unpacked(store: ImageStore, ref: str) -> Iterator[Path]:
    """A folder with all files of an image, for as long as it is needed."""
    [image] = store.require([ref])
    with tempfile.TemporaryDirectory(dir=store.root.parent.parent) as folder:
        for layer in image.layers:
            blob = store.root / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
            with tarfile.open(blob) as tar:
                tar.extractall(folder, filter="tar")
        yield Path(folder)


def _of_programs(bundle: Path, architecture: Architecture) -> Iterator[Problem]:
    """What is wrong with the programs outside of images, and which of them nobody asks."""
    folders = {Path(name).parts[0] for name in PROGRAMS}
    there = {
        path.relative_to(bundle).as_posix()
        for folder in folders - PORTABLE
        for path in (bundle / folder).iterdir()
    }
    yield from (Problem(name, "is asked nothing") for name in sorted(there - PROGRAMS.keys()))
    store = ImageStore(bundle / "images")
    [libraries] = (each for each in _recipes(architecture) if each.name == LIBRARIES)
    with _unpacked(store, libraries.ref) as folder:
        for name, (arguments, expected) in PROGRAMS.items():
            way = ["env", f"QEMU_LD_PREFIX={folder}"] if name in OF_DEBIAN else []
            argv = [*way, str(bundle / name), *arguments]
            yield from _asked(name, argv, expected.format_map(VERSIONS))


def _of_images(bundle: Path, architecture: Architecture) -> Iterator[Problem]:
    """What is wrong with the images' programs, and with what is said of the images."""
    store = ImageStore(bundle / "images")
    for recipe in _recipes(architecture):
        [image] = store.require([recipe.ref])
        if image.platform != architecture.platform:
            yield Problem(recipe.ref, f"is for {image.platform}")
        if recipe.name not in IMAGES:
            yield Problem(recipe.name, "is asked nothing")
        with _unpacked(store, recipe.ref) as folder:
            (folder / "proc").mkdir(exist_ok=True)
            seconds = "2" if recipe.name in WAITING else "100"
            apart = ("unshare", "--mount", "--pid", "--fork", f"--mount-proc={folder}/proc")
            bounded = ("timeout", "--preserve-status", seconds, "chroot", str(folder))
            env = [f"{name}={value}" for name, value in recipe.config(architecture).env.items()]
            # An image of one program has no env.
            within = ["/usr/bin/env", "-i", *env] if (folder / "usr/bin/env").exists() else []
            for command, expected in IMAGES.get(recipe.name, ()):
                argv = [*apart, *bounded, *within, *command]
                yield from _asked(recipe.name, argv, expected.format_map(VERSIONS))


def _asked(name: str, argv: Sequence[str], expected: str) -> Iterator[Problem]:
    """What is wrong with a program, by what it says."""
    env = {"CNI_COMMAND": "VERSION"}
    try:
        said = run(argv, what=name, env=env, timeout=120, stdin=b'{"cniVersion": "1.0.0"}')
    except SlipwayError as error:
        if not expected or expected not in str(error):
            yield from error.problems
            return
        said = expected
    first = (said.splitlines() or [""])[0]
    if expected in said:
        _say(f"{name}: {first}")
    else:
        yield Problem(name, f"says {first!r}, without {expected!r}")


if __name__ == "__main__":
    sys.exit(main())

"""Images onto a node with real containerd: what is sent, and what faults leave behind.

What the tests load onto the first worker they remove again. They restart its containerd, which
running pods outlive, and once the whole node. A containerd 1.7, and one with a small disk, run
beside the node's own, each with data of its own.
"""

from __future__ import annotations

import gzip
import json
import os
import shlex
import signal
import subprocess
import tarfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.environments.retention import History
from slipway.apps.manifests.labels import OWN_SELECTOR, owner_of
from slipway.architecture import Architecture
from slipway.bundle import debian
from slipway.cache.layout import APPS
from slipway.kube.client import DEPLOYMENTS
from slipway.nodes import containers
from slipway.nodes.containerd import Containerd
from slipway.oci import Image, ImageConfig, ImageStore, layer_from_tree
from slipway.oci.layers import TreeEntry
from tests.support.apps import planned
from tests.support.checkout import PROJECT
from tests.support.container_runtime import rendered
from tests.support.oci_samples import Layout, digest_of, tar_of
from tests.support.scenario import Scenario, environment, wait_for

PREFIX = "test.slipway.internal/"
PAUSE = "registry.k8s.io/pause:{}"
REPOSITORY = f"{PREFIX}image-load"
BASE_SIZE = 60_000_000

SECOND = "/var/lib/second-containerd"
"""Where a containerd beside the node's own has its files."""


class Node:
    """The node under test, one of its containerds, and the store that it is loaded from."""

    def __init__(
        self, scenario: Scenario, store: ImageStore, containerd: Containerd | None = None
    ) -> None:
        self._inventory = scenario.inventory
        self.name, self._host = next(
            (name, host)
            for name, host in scenario.nodes.items()
            if name not in scenario.facts["control_plane"]
        )
        self.store = store
        self.base = os.urandom(BASE_SIZE)
        self.containerd = containerd or Containerd()

    def add(self, name: str) -> Image:
        """Store an image that no node has seen: the common base and a small layer of its own."""
        app = name.encode() + self.base[:100]
        layers = [layer_from_tree({"/base": self.base}), layer_from_tree({"/app": app})]
        return self.store.add_image(f"{REPOSITORY}:{name}", layers, ImageConfig())

    def start(self, *refs: str, check: bool = False, **arguments: Any) -> subprocess.Popen[str]:
        """Begin to load images."""
        module = {
            "store": str(self.store.root),
            "images": [*refs],
            "ctr": self.containerd.ctr,
            "containerd_root": self.containerd.root,
            **arguments,
        }
        return self._ansible("image_load", module, *(["--check"] if check else []))

    def load(self, *refs: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Load images; the module's result."""
        return _result(self.start(*refs, check=check, **arguments).communicate()[0])

    def put(self, source: Path, target: str) -> None:
        """Copy a file to the node, as a program."""
        module = {"src": str(source), "dest": target, "mode": "0755"}
        result = _result(self._ansible("ansible.builtin.copy", module).communicate()[0])
        assert result["changed"], result

    def _ansible(self, name: str, arguments: Any, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *("ansible", self.name, "--inventory", self._inventory, "--become", *options),
                *("--module-name", name, "--args", json.dumps(arguments)),
            ],
            cwd=PROJECT,
            env={
                **environment(),
                "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
                "ANSIBLE_LOAD_CALLBACK_PLUGINS": "false",
            },
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def shell(self, command: str) -> str:
        """What a shell command on the node prints."""
        return str(self._host.check_output(command)).strip()

    def ctr(self, command: str) -> str:
        """What containerd's client on the node says."""
        return self.shell(f"{self.containerd.ctr} {command} 2>/dev/null")

    def blob(self, digest: str) -> str:
        """The path of a blob on the node."""
        name = digest.removeprefix("sha256:")
        return f"{self.containerd.root}/io.containerd.content.v1.content/blobs/sha256/{name}"

    def has_blob(self, digest: str) -> bool:
        """Whether the blob's file is there."""
        return bool(self._host.file(self.blob(digest)).exists)

    def names(self) -> set[str]:
        """The names of all images."""
        return set(self.ctr("images ls -q").split())

    def listing(self, ref: str) -> str:
        """The node's line for an image: digest, labels."""
        return "\n".join(self.ctr(f"images ls 'name==\"{ref}\"'").splitlines()[1:])

    def is_ready(self, image: Image) -> bool:
        """Whether containerd itself says that the image is complete and unpacked."""
        listed = self.shell(
            f"{self.containerd.ctr} images check 'name==\"{image.ref}\"' 2>/dev/null || true"
        )
        line = listed.splitlines()[-1:]
        return any(
            image.manifest_digest in words and " complete (" in words and words.endswith("true")
            for words in line
        )

    def answers(self) -> bool:
        """Whether its containerd does."""
        try:
            return bool(self._host.run(f"{self.containerd.ctr} version").rc == 0)
        except RuntimeError:  # nobody answers over SSH
            return False

    def is_reachable(self) -> bool:
        """Whether Ansible has a connection."""
        answer = _result(self._ansible("ansible.builtin.ping", {"data": "pong"}).communicate()[0])
        return answer.get("ping") == "pong"

    def remove(self, prefix: str = PREFIX) -> None:
        """Remove images under all their names, and wait until their blobs are gone."""
        ctr = self.containerd.ctr
        self.shell(
            f"for lease in $({ctr} leases ls -q 2>/dev/null); do {ctr} leases rm $lease; done;"
            f" all=$({ctr} images ls 2>/dev/null);"
            f" for digest in $(echo \"$all\" | grep '^{prefix}' | grep -o 'sha256:[0-9a-f]*'); do"
            f' echo "$all" | grep " $digest " | cut -d" " -f1; done | sort -u |'
            f" xargs --no-run-if-empty {ctr} images rm --sync"
        )


def _result(output: str) -> dict[str, Any]:
    said, found, result = output.partition(" => ")
    assert found, output
    return {**json.loads(result), "said": said}


@pytest.fixture
def node(scenario: Scenario, tmp_path: Path) -> Iterator[Node]:
    node = Node(scenario, ImageStore(tmp_path / "store"))
    node.remove()
    yield node
    node.remove()


@pytest.fixture
def images(node: Node) -> tuple[Image, Image]:
    """Two images that differ in a small top layer."""
    return node.add("one"), node.add("two")


def test_a_change_travels_as_what_changed(node: Node, images: tuple[Image, Image]) -> None:
    one, two = images
    first, second, third = node.load(one.ref), node.load(two.ref), node.load(one.ref, two.ref)
    assert first["bytes_sent"] == one.size
    assert second["bytes_sent"] == two.size - two.layers[0].size < 30_000
    assert (third["changed"], third["bytes_sent"]) == (False, 0)
    assert max(second["seconds"], third["seconds"]) < first["seconds"]
    assert node.is_ready(one)
    assert node.is_ready(two)


def test_the_kubelets_side_of_containerd_knows_the_image_and_keeps_it(
    node: Node, images: tuple[Image, Image]
) -> None:
    node.load(images[0].ref)
    line = node.listing(images[0].ref)
    assert "io.cri-containerd.image=managed" in line
    assert "io.cri-containerd.pinned=pinned" in line


def test_a_removed_image_comes_back(node: Node, images: tuple[Image, Image]) -> None:
    one, _ = images
    node.load(one.ref)
    node.remove()  # under all names, as the kubelet's garbage collector does
    assert node.listing(one.ref) == ""
    assert not node.has_blob(one.config_digest)
    assert node.load(one.ref)["changed"] is True
    assert node.is_ready(one)
    assert "io.cri-containerd.pinned=pinned" in node.listing(one.ref)


def _deployed(scenario: Scenario) -> set[str]:
    """The images of the apps that the cluster runs."""
    return {
        container["image"]
        for deployment in scenario.kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items
        for container in deployment["spec"]["template"]["spec"]["containers"]
    }


def test_a_run_with_nothing_to_build_brings_a_node_the_images_that_it_lacks(
    scenario: Scenario, node: Node
) -> None:
    pods, images = scenario.pods(), _deployed(scenario)
    node.remove(APPS)
    assert not images & node.names()
    run = scenario.play("playbooks/apps.yml")
    assert run.code == 0, str(run)
    assert run.changed == {**dict.fromkeys(["localhost", *scenario.nodes], 0), node.name: 1}, str(
        run
    )
    assert images <= node.names()
    assert scenario.pods() == pods


def test_pruning_leaves_what_runs_and_ran_before(scenario: Scenario, node: Node) -> None:
    pods, images = scenario.pods(), _deployed(scenario)
    apps = ImageStore(scenario.cache / "images")
    for _ in range(2):
        run = scenario.play("playbooks/apps.yml", apps_prune_when="always")
        assert run.code == 0, str(run)
    assert set(run.changed.values()) == {0}, str(run)
    assert images <= node.names()
    assert images <= apps.images().keys()
    history = History.read(scenario.kube)
    ran = history.retained([planned(id=owner_of(each)) for each in history.deployments])
    assert {name for name in node.names() if name.startswith(APPS)} <= set(ran)
    assert scenario.pods() == pods


def test_older_images_go_when_the_new_one_is_there_and_no_others(
    node: Node, images: tuple[Image, Image]
) -> None:
    others = node.names()
    one, two, three = *images, node.add("three")
    node.load(one.ref, two.ref)
    tidy: dict[str, Any] = {"prune_prefix": PREFIX, "keep": [two.ref]}
    foreseen = node.load(three.ref, check=True, **tidy)
    assert (foreseen["loaded"], foreseen["removed"]) == ([three.ref], [one.ref])
    result = node.load(three.ref, **tidy)
    assert (result["loaded"], result["removed"]) == ([three.ref], [one.ref])
    assert node.is_ready(two)
    assert node.is_ready(three)
    mine = {name for image in (two, three) for name in (image.ref, image.config_digest)}
    assert node.names() == others | mine
    wait_for(lambda: node.has_blob(one.layers[1].digest), lambda there: not there)
    assert node.has_blob(one.layers[0].digest)
    assert node.load(three.ref, **tidy)["changed"] is False
    assert node.load(prune_prefix=PREFIX)["removed"] == [three.ref, two.ref]
    assert node.names() == others
    wait_for(lambda: node.has_blob(one.layers[0].digest), lambda there: not there)


def test_the_image_of_a_running_container_stays_until_it_ends(
    scenario: Scenario, node: Node
) -> None:
    busy = f"{REPOSITORY}:busy"
    layer = layer_from_tree({"/pause": _pause_program(scenario)})
    node.store.add_image(busy, [layer], ImageConfig(entrypoint=("/pause",)))
    node.load(busy)
    node.ctr(f"run --detach {busy} image-load")
    try:
        assert node.load(prune_prefix=PREFIX)["changed"] is False
        assert "RUNNING" in node.ctr("tasks ls | grep image-load")
    finally:
        node.ctr("tasks kill --signal KILL image-load")
        node.shell(f"until {node.containerd.ctr} tasks rm image-load 2>/dev/null; do :; done")
        node.ctr("containers rm image-load")
    assert node.load(prune_prefix=PREFIX)["removed"] == [busy]
    assert node.listing(busy) == ""


def _pause_program(scenario: Scenario) -> TreeEntry:
    """The program of the bundle's pause image, which waits until it is ended."""
    images = ImageStore(scenario.bundle / "images")
    image = images.get(PAUSE.format(scenario.facts["versions"]["pause"]))
    assert image
    path = images.root / "blobs/sha256" / image.layers[0].digest.removeprefix("sha256:")
    with tarfile.open(path) as layer:
        program = layer.extractfile("pause")
        assert program
        return TreeEntry(program.read(), 0o755)


def test_a_blob_whose_file_is_gone_is_sent_again(node: Node, images: tuple[Image, Image]) -> None:
    one, two = images
    node.load(one.ref)
    base = one.layers[0].digest
    node.shell(f"rm {node.blob(base)}")
    assert node.load(two.ref)["bytes_sent"] == two.size
    assert node.shell(f"sha256sum {node.blob(base)}").split()[0] == base.removeprefix("sha256:")
    assert node.load(one.ref, two.ref)["changed"] is False


def test_a_damaged_blob_in_the_store_is_never_used(node: Node, images: tuple[Image, Image]) -> None:
    one, _ = images
    blob = node.store.root / "blobs/sha256" / one.layers[0].digest.removeprefix("sha256:")
    with blob.open("r+b") as file:
        file.seek(BASE_SIZE // 2)
        file.write(b"damage")
    result = node.load(one.ref)
    assert f"{one.layers[0].digest} is damaged; it has been removed" in result["msg"]
    assert not node.is_ready(one)
    assert node.add("one") == one
    assert node.load(one.ref)["changed"] is True
    assert node.is_ready(one)


def _archive(node: Node, image: Image, folder: Path) -> Path:
    """The whole image as an archive."""
    archive = folder / "image.tar"
    with archive.open("wb") as out:
        node.store.write_archive([image.ref], out)
    return archive


def test_a_blob_that_was_damaged_on_the_node_is_stored_again(
    node: Node, images: tuple[Image, Image], tmp_path: Path
) -> None:
    one, _ = images
    node.put(_archive(node, one, tmp_path), "/var/tmp/one.tar")
    node.ctr("images import --local --no-unpack /var/tmp/one.tar")
    node.shell("rm /var/tmp/one.tar")
    base = one.layers[0].digest
    node.shell(f"printf damage | dd of={node.blob(base)} seek=1000 conv=notrunc")
    result = node.load(one.ref)
    assert "incomplete" in result["said"]
    assert node.is_ready(one)
    assert node.shell(f"sha256sum {node.blob(base)}").split()[0] == base.removeprefix("sha256:")


def _begin(node: Node, image: Image) -> subprocess.Popen[str]:
    """Begin to load an image; the stream has begun, and takes several times as long."""
    running = node.start(image.ref)
    assert running.stdout is not None
    line = next(line for line in running.stdout if "to send" in line)
    assert REPOSITORY not in line
    time.sleep(0.1)
    return running


def _assert_mended(node: Node, image: Image) -> None:
    """One more run has the image complete, the next nothing to do."""
    wait_for(node.answers, bool)
    assert not node.is_ready(image)
    node.load(image.ref)
    assert node.is_ready(image)
    assert node.load(image.ref)["changed"] is False


@pytest.mark.parametrize("fault", ["the sender is killed", "containerd is killed"])
def test_one_more_run_mends_a_load_that_broke_off(
    node: Node, images: tuple[Image, Image], fault: str
) -> None:
    running = _begin(node, images[0])
    if fault == "the sender is killed":
        os.killpg(running.pid, signal.SIGKILL)
    else:
        node.shell("systemctl kill --signal=KILL containerd")
    running.communicate()
    _assert_mended(node, images[0])


def test_an_archive_that_is_cut_off_leaves_no_image(
    node: Node, images: tuple[Image, Image], tmp_path: Path
) -> None:
    one, _ = images
    archive = _archive(node, one, tmp_path)
    os.truncate(archive, archive.stat().st_size // 2)
    node.put(archive, "/var/tmp/half.tar")
    node.shell(f"! {node.containerd.ctr} images import --local /var/tmp/half.tar")
    node.shell("rm /var/tmp/half.tar")
    assert node.listing(one.ref) == ""
    _assert_mended(node, one)


def test_two_loads_at_once_both_succeed(node: Node, images: tuple[Image, Image]) -> None:
    one, two = images
    running = [node.start(one.ref, two.ref) for _ in range(2)]
    results = [_result(process.communicate()[0]) for process in running]
    assert [result["loaded"] for result in results] == [[one.ref, two.ref]] * 2
    assert node.is_ready(one)
    assert node.is_ready(two)


def test_one_more_run_mends_a_load_during_which_the_node_restarted(
    scenario: Scenario, node: Node, images: tuple[Image, Image]
) -> None:
    machine = containers.connect().containers.get(node.name)
    running = _begin(node, images[0])
    machine.kill()
    running.communicate()
    machine.start()
    wait_for(node.is_reachable, bool)
    _assert_mended(node, images[0])
    wait_for(scenario.wrong_routes, lambda wrong: wrong == {})


@contextmanager
def _second(
    node: Node, containerd: str, ctr: str, configuration: str, megabytes: int
) -> Iterator[Node]:
    """The node with another containerd, which has ``megabytes`` of disk."""
    unit, run, data = "second-containerd", "/run/second-containerd", f"{SECOND}/data"
    other = copy(node)
    other.containerd = Containerd(f"{ctr} --address {run}/socket --namespace k8s.io", data)
    node.shell(
        f"mkdir -p {data} {run} && mount -t tmpfs -o size={megabytes}m tmpfs {data}"
        f" && printf %s {shlex.quote(configuration)} > {SECOND}/config.toml"
        f" && {containerd} --config {SECOND}/config.toml config dump > {SECOND}/dump.toml"
        f" && systemd-run --quiet --collect --unit={unit} {containerd} --config"
        f" {SECOND}/config.toml --root {data} --state {run}/state --address {run}/socket"
    )
    try:
        wait_for(other.answers, bool)
        yield other
    finally:
        node.shell(f"systemctl stop {unit}; umount {data}; rm -r {SECOND} {run}")


@pytest.fixture
def node_17(node: Node, tmp_path: Path) -> Iterator[Node]:
    """The node with Debian 13's containerd, configured as Slipway does."""
    archive = tmp_path / "containerd.tar"
    keys = PROJECT / "images" / "debian-trixie.asc"
    of_debian = debian.Archive("trixie", Architecture.here(), keys)
    packages = debian.make_rootfs(of_debian, "extract", ["containerd"], archive)
    assert packages["containerd"].version.startswith("1.7.")
    node.shell(f"mkdir -p {SECOND}")
    with tarfile.open(archive) as tar:
        for name in ("containerd", "ctr"):
            tar.extract(f"./usr/bin/{name}", tmp_path, filter="data")
            node.put(tmp_path / "usr/bin" / name, f"{SECOND}/{name}")
    programs = (f"{SECOND}/containerd", f"{SECOND}/ctr")
    with _second(node, *programs, rendered(2), megabytes=1000) as second:
        yield second


def test_containerd_17_is_loaded_tidied_and_mended_in_the_same_way(
    node_17: Node, images: tuple[Image, Image]
) -> None:
    dump = tomllib.loads(node_17.shell(f"cat {SECOND}/dump.toml"))
    cri = dump["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert cri["sandbox_image"].startswith("registry.k8s.io/pause:")
    one, two = images
    assert node_17.load(one.ref)["bytes_sent"] == one.size
    line = node_17.listing(one.ref)
    assert "io.cri-containerd.image=managed" in line
    assert "io.cri-containerd.pinned=pinned" in line
    result = node_17.load(two.ref, prune_prefix=PREFIX)
    assert result["bytes_sent"] == two.size - two.layers[0].size < 30_000
    assert result["removed"] == [one.ref]
    assert node_17.names() == {two.ref, two.config_digest}
    assert node_17.is_ready(two)
    node_17.shell(f"rm {node_17.blob(two.layers[0].digest)}")
    assert node_17.load(one.ref, two.ref)["bytes_sent"] >= one.size
    assert node_17.is_ready(one)
    assert node_17.is_ready(two)
    assert node_17.load(one.ref, two.ref)["changed"] is False


@pytest.fixture
def small_node(node: Node) -> Iterator[Node]:
    """The node with a containerd whose disk is hardly larger than an image."""
    # The kubelet's side and its helpers would get into the way of those that the node has.
    disabled = ["io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri"]
    configuration = f"version = 3\ndisabled_plugins = {disabled}\n"
    with _second(node, "containerd", "ctr", configuration, megabytes=100) as second:
        yield second


def _compressible(store: ImageStore, size: int, folder: Path) -> Image:
    """An image of next to no bytes that unpacks to ``size`` bytes."""
    layout = Layout()
    top = tar_of({"zeros": bytes(size)})
    rootfs = {"type": "layers", "diff_ids": [digest_of(top)]}
    config = {"architecture": "amd64", "os": "linux", "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "config": layout.blob("config.v1+json", json.dumps(config).encode()),
        "layers": [layout.blob("layer.v1.tar+gzip", gzip.compress(top, 1, mtime=0))],
    }
    entry = layout.blob("manifest.v1+json", json.dumps(manifest).encode())
    for name, content in layout.finish(entry).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return store.add_archive(folder, f"{REPOSITORY}:zeros", "linux/amd64")


def test_a_full_disk_is_said_before_anything_is_sent(
    small_node: Node, images: tuple[Image, Image]
) -> None:
    one, _ = images
    result = small_node.load(one.ref)
    assert "free, and the images take about 120.0 MB; nothing was sent" in result["msg"]
    assert small_node.names() == set()
    assert not small_node.has_blob(one.layers[0].digest)
    small_node.shell(f"mount -o remount,size=200m {small_node.containerd.root}")
    assert small_node.load(one.ref)["changed"] is True
    assert small_node.is_ready(one)


def test_one_more_run_mends_a_load_that_filled_the_disk(small_node: Node, tmp_path: Path) -> None:
    image = _compressible(small_node.store, 150_000_000, tmp_path / "layout")
    result = small_node.load(image.ref)
    assert "no space left on device" in result["msg"]
    assert not small_node.is_ready(image)
    small_node.shell(f"mount -o remount,size=400m {small_node.containerd.root}")
    assert small_node.load(image.ref)["changed"] is True
    assert small_node.is_ready(image)
    assert small_node.load(image.ref)["changed"] is False

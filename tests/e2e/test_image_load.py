"""Images onto a node with real containerd: what is sent, and what faults leave behind.

What the tests load onto the first worker they remove again. They restart its containerd, which
running pods outlive.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.oci import Image, ImageConfig, ImageStore, layer_from_tree
from tests.e2e.scenario import PROJECT, Scenario, environment

REPOSITORY = "test.slipway.internal/image-load"
BLOBS = "/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256"
BASE_SIZE = 60_000_000


class Node:
    """The node under test and the store that it is loaded from."""

    def __init__(self, scenario: Scenario, store: ImageStore) -> None:
        self._inventory = scenario.inventory
        self._name, self._host = next(
            (name, host)
            for name, host in scenario.nodes.items()
            if name not in scenario.facts["control_plane"]
        )
        self.store = store
        self.base = os.urandom(BASE_SIZE)

    def add(self, name: str) -> Image:
        """Store an image that no node has seen: the common base and a small layer of its own."""
        app = name.encode() + self.base[:100]
        layers = [layer_from_tree({"/base": self.base}), layer_from_tree({"/app": app})]
        return self.store.add_image(f"{REPOSITORY}:{name}", layers, ImageConfig())

    def start(self, *refs: str) -> subprocess.Popen[str]:
        """Begin to load images."""
        arguments = {"store": str(self.store.root), "images": [*refs]}
        return subprocess.Popen(
            [
                *("ansible", self._name, "--inventory", self._inventory, "--become"),
                *("--module-name", "image_load", "--args", json.dumps(arguments)),
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

    def load(self, *refs: str) -> dict[str, Any]:
        """Load images; the module's result."""
        return _result(self.start(*refs).communicate()[0])

    def shell(self, command: str) -> str:
        """What a shell command on the node prints."""
        return str(self._host.check_output(command)).strip()

    def listing(self, ref: str) -> str:
        """The node's line for an image: digest, labels."""
        return self.shell(f"ctr -n k8s.io images ls 'name==\"{ref}\"' 2>/dev/null | tail -n +2")

    def is_ready(self, image: Image) -> bool:
        """Whether containerd itself says that the image is complete and unpacked."""
        line = self.shell(f"ctr -n k8s.io images check 'name==\"{image.ref}\"' 2>/dev/null")
        return image.manifest_digest in line and " complete (" in line and line.endswith("true")

    def remove(self) -> None:
        """Remove what the tests loaded, and wait until its blobs are gone."""
        self.shell(
            "for lease in $(ctr -n k8s.io leases ls -q 2>/dev/null); do"
            " ctr -n k8s.io leases rm $lease; done;"
            f" for ref in $(ctr -n k8s.io images ls -q 'name~=\"^{REPOSITORY}\"' 2>/dev/null); do"
            " ctr -n k8s.io images rm --sync $ref; done"
        )


def _result(output: str) -> dict[str, Any]:
    said, found, result = output.partition(" => ")
    assert found, output
    return {**json.loads(result), "said": said}


@pytest.fixture
def node(scenario: Scenario, tmp_path: Path) -> Iterator[Node]:
    node = Node(scenario, ImageStore(tmp_path))
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
    assert third["seconds"] < second["seconds"] < first["seconds"]
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
    node.remove()
    assert node.listing(one.ref) == ""
    assert node.load(one.ref)["changed"] is True
    assert node.is_ready(one)


def test_a_blob_whose_file_is_gone_is_sent_again(node: Node, images: tuple[Image, Image]) -> None:
    one, two = images
    node.load(one.ref)
    base = one.layers[0].digest.removeprefix("sha256:")
    node.shell(f"rm {BLOBS}/{base}")
    assert node.load(two.ref)["bytes_sent"] == two.size
    assert node.shell(f"sha256sum {BLOBS}/{base}").split()[0] == base
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


@pytest.mark.parametrize("fault", ["the sender is killed", "containerd is killed"])
def test_one_more_run_mends_a_load_that_broke_off(
    node: Node, images: tuple[Image, Image], fault: str
) -> None:
    one, _ = images
    running = node.start(one.ref)
    assert running.stdout is not None
    line = next(line for line in running.stdout if "to send" in line)
    assert f"{REPOSITORY}" not in line
    time.sleep(0.1)  # the stream takes several times as long
    if fault == "the sender is killed":
        os.killpg(running.pid, signal.SIGKILL)
    else:
        node.shell("systemctl kill --signal=KILL containerd")
    running.communicate()
    node.shell("for i in $(seq 30); do ctr version >/dev/null 2>&1 && exit; sleep 1; done; false")
    node.load(one.ref)
    assert node.is_ready(one)
    assert node.load(one.ref)["changed"] is False


def test_two_loads_at_once_both_succeed(node: Node, images: tuple[Image, Image]) -> None:
    one, two = images
    running = [node.start(one.ref, two.ref) for _ in range(2)]
    results = [_result(process.communicate()[0]) for process in running]
    assert [result["loaded"] for result in results] == [[one.ref, two.ref]] * 2
    assert node.is_ready(one)
    assert node.is_ready(two)

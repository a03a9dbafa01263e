"""What a branch may try in the steps of a Dockerfile; the BuildKit is the bundle's."""

from __future__ import annotations

import json
import socket
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.apps.app import BuildxBuild
from slipway.apps.builders import buildkit
from slipway.apps.builders.bases import Base, StoredImage
from slipway.apps.builders.buildkit import BuildKit, Daemon, Programs
from slipway.apps.builders.order import Order
from slipway.architecture import Architecture
from slipway.control_node import emulation
from slipway.errors import SlipwayError
from slipway.oci import ImageStore
from tests.support.real_bundle import real_bundle

CANARY = "canary-of-the-machine"


class Bench:
    """A builder with a cache of its own, and the bundle's Python as base."""

    def __init__(self, root: Path, daemon: Daemon, port: int) -> None:
        self.root = root
        self.port = port
        self.kit = BuildKit(daemon, ImageStore(root / "images"))
        bundle = ImageStore(real_bundle() / "images")
        image = next(each for ref, each in bundle.images().items() if "/python:" in ref)
        stored = StoredImage(bundle, image)
        self.base = Base(image.ref, image.manifest_digest, lambda: stored)

    def build(self, step: str, repository: str = "web") -> str:
        """What a step leaves in ``/found`` of its image."""
        place = Path(tempfile.mkdtemp(dir=self.root))
        for folder in ("checkout", "scratch"):
            (place / folder).mkdir()
        text = f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nRUN {step}\n"
        (place / "checkout" / "Dockerfile").write_text(text)
        checkout, scratch = place / "checkout", place / "scratch"
        order = Order("web (main)", "web", checkout, BuildxBuild(), self.base, {}, scratch)
        image = self.kit.build(replace(order, repository=repository))
        [entry] = json.loads((image / "index.json").read_bytes())["manifests"]
        blobs = image / "blobs" / "sha256"
        last = json.loads((blobs / entry["digest"][7:]).read_bytes())["layers"][-1]
        with tarfile.open(blobs / last["digest"][7:]) as tar:
            found = tar.extractfile("found")
            assert found
            return found.read().decode()

    def reach(self, host: str) -> str:
        """The step that asks a service of the machine."""
        code = f"import socket; print(socket.create_connection(({host}, {self.port}), 3).recv(99))"
        return f"python3 -c '{code}' > /found 2>&1 || true"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Daemon(Programs.of(real_bundle()), tmp_path / "buildkit") as daemon,
    ):
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        yield Bench(tmp_path, daemon, server.getsockname()[1])


def _greet(server: socket.socket) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            client.sendall(CANARY.encode())


GATEWAY = 'socket.inet_ntoa(bytes.fromhex(open("/proc/net/route").read().split()[13])[::-1])'


@pytest.mark.parametrize("host", ['"127.0.0.1"', '"localhost"', GATEWAY])
def test_no_step_reaches_a_service_on_loopback(bench: Bench, host: str) -> None:
    assert CANARY not in bench.build(bench.reach(host))


def test_steps_have_a_way_out_and_names(bench: Bench) -> None:
    found = bench.build("cat /proc/net/route /etc/resolv.conf > /found")
    assert "00000000" in found
    assert "nameserver" in found


def test_steps_for_nodes_with_another_processor_run_by_qemu(bench: Bench) -> None:
    (other,) = {*Architecture} - {Architecture.here()}
    emulation.have(other, print)
    checkout, scratch = bench.root / "checkout", bench.root / "scratch"
    for folder in (checkout, scratch):
        folder.mkdir()
    (checkout / "program").write_bytes(emulation.program(other))
    (checkout / "program").chmod(0o755)
    (checkout / "Dockerfile").write_text('FROM scratch\nCOPY program /\nRUN ["/program"]\n')
    order = Order("web (main)", "web", checkout, BuildxBuild(), None, {}, scratch)
    layout = bench.kit.build(replace(order, platform=other.platform))
    store = ImageStore(bench.root / "images", other.platform)
    assert store.add_archive(layout, "a.test/web:1").platform == other.platform


def test_processes_of_the_machine_are_not_seen(bench: Bench) -> None:
    assert "pytest" not in bench.build("cat /proc/[0-9]*/cmdline > /found")


@pytest.mark.parametrize("asked", ["--network=host", "--security=insecure"])
def test_rights_are_not_given(bench: Bench, asked: str) -> None:
    with pytest.raises(SlipwayError, match="not allowed"):
        bench.build(f"{asked} touch /found")


def test_a_cache_is_its_repository_s_own(bench: Bench) -> None:
    def look(repository: str, number: int) -> str:
        mount = "--mount=type=cache,target=/cache,id=shared"
        step = f"{mount} echo {number} >> /cache/said; cat /cache/said > /found"
        return bench.build(step, repository)

    assert look("web", 1).split() == ["1"]
    assert look("web", 2).split() == ["1", "2"]
    assert look("other", 3).split() == ["3"]


def test_memory_of_steps_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buildkit, "MEMORY", 256 << 20)
    with pytest.raises(SlipwayError, match=r"137|cannot allocate"):
        bench.build("python3 -c 'bytearray(1 << 30)' && touch /found")


def test_processes_of_steps_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buildkit, "PROCESSES", 50)
    bomb = "(i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done; echo all) > /found 2>&1"
    assert "all" not in bench.build(f"{bomb} || true").split()

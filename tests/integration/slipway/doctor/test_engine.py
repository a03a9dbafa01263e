"""An engine of the tests' own on a network beside the host's, and sockets behind which is none."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.doctor import engine
from slipway.doctor.findings import all_of
from slipway.errors import SlipwayError
from slipway.waiting import wait_until
from tests.support.checkout import PROJECT
from tests.support.machines import cluster

SECONDS = 30.0

START = """
mount -t tmpfs none /run
ip link set lo up
exec dockerd --storage-driver vfs --data-root {0}/data --exec-root /run/docker \
    --pidfile {0}/pid --host unix://{0}/socket
"""

FILL = """
docker network create --subnet 172.29.128.0/20 other
tar c --files-from /dev/null | docker import - empty:1
docker create --name worker empty:1 nothing
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine with a network and a container of others; gives its ``DOCKER_HOST``."""
    folder = tmp_path_factory.mktemp("docker")
    where = f"unix://{folder}/socket"
    log = folder / "log"
    argv = ["unshare", "--net", "--mount", "sh", "-euc", START.format(folder)]
    with log.open("wb") as output, subprocess.Popen(argv, stdout=output, stderr=output) as process:
        try:
            wait_until(lambda: told(where, "docker", "version") or process.poll(), SECONDS)
            assert told(where, "sh", "-euc", FILL), log.read_text()
            yield where
        finally:
            process.send_signal(signal.SIGTERM)


def told(where: str, *argv: str) -> bool:
    """Whether the engine did what it was told."""
    env = {**os.environ, "DOCKER_HOST": where}
    return subprocess.run(argv, env=env, capture_output=True, check=False).returncode == 0


def troubles(host: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    """What is found of an engine that is not as it should be."""
    monkeypatch.setenv("DOCKER_HOST", host)
    found = all_of("localhost", engine.checks(engine.read("slipway"), cluster()))
    return {each.check: (str(each.state), each.found) for each in found if each.state != "ok"}


def test_what_others_have_on_an_engine_is_in_the_way(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = troubles(host, monkeypatch)
    assert found["engine networks"] == (
        "fail",
        "172.29.0.0/16 overlaps with 172.29.128.0/20, the network other",
    )
    assert found["engine names"] == ("fail", "is not of slipway")
    assert found["engine storage"][0] == "warn"
    assert found.keys() == {"engine networks", "engine names", "engine storage"}


def test_a_network_of_the_cluster_s_name_with_another_range_is_in_the_way(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(host, "docker", "network", "create", "--subnet", "172.28.0.0/16", "slipway")
    try:
        found = troubles(host, monkeypatch)
    finally:
        assert told(host, "docker", "network", "rm", "slipway")
    assert found["engine networks"] == ("fail", "has ['172.28.0.0/16'], not 172.29.0.0/16")


@pytest.fixture
def listener() -> Iterator[Path]:
    """A socket at which somebody listens who never answers, in a folder that all may look into."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        Path(folder).chmod(0o755)
        path = Path(folder, "socket")
        listening.bind(str(path))
        listening.listen()
        kept: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    kept.append(listening.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield path
        listening.shutdown(socket.SHUT_RDWR)
        for each in kept:
            each.close()


def test_an_engine_that_is_stuck_is_not_waited_for_long(
    listener: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{listener}")
    monkeypatch.setattr(engine, "SECONDS", 1)
    with pytest.raises(SlipwayError, match="timed out"):
        engine.read("slipway")


def test_without_an_engine_nothing_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/socket")
    with pytest.raises(SlipwayError, match="no engine answers"):
        engine.read("slipway")


ASK = """
import os, sys
from slipway.doctor import engine
from slipway.errors import SlipwayError
os.setgroups([])
os.setuid(65534)
try:
    engine.read("slipway")
except SlipwayError as error:
    print(error)
"""


def test_a_user_without_the_right_to_an_engine_is_told_how_to_get_it(
    listener: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "DOCKER_HOST": f"unix://{listener}", "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no right to use its socket" in done.stdout
    assert "group 'docker'" in done.stdout

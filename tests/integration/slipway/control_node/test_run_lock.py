"""Two runs that change the same cluster."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.kube import lease
from slipway.kube.client import LEASES, Kube
from slipway.kube.lease import Lease
from slipway.locks import News
from slipway.waiting import wait_until
from tests.support.app_cluster import FakeApi
from tests.support.checkout import PROJECT

RUN = """
import os, sys, time
from pathlib import Path
from slipway.control_node.run_lock import Run, be_alone
from slipway.locks import News
folder, kubeconfig, lock = sys.argv[1:4]
Path(folder).mkdir()
News.say = lambda line: Path(folder + ".said").open("a").write(line + "\\n")
be_alone(Run(os.getpid(), folder, kubeconfig), Path(lock))
be_alone(Run(os.getpid(), folder, kubeconfig), Path(lock))
Path(folder + ".alone").touch()
time.sleep(300)
"""


class Machine:
    """A control node, as far as runs know one another by its files."""

    def __init__(self, root: Path, kubeconfig: Path) -> None:
        self.root = root
        self.root.mkdir()
        self.kubeconfig = kubeconfig
        self.runs: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> int:
        """A run of that name; its number."""
        arguments = [self.root / name, self.kubeconfig, self.root / "lock", f"{name}.yml"]
        process = subprocess.Popen([sys.executable, "-c", RUN, *map(str, arguments)], cwd=PROJECT)
        self.runs[name] = process
        return process.pid

    def end(self, name: str) -> None:
        """End a run without leaving it time for anything."""
        self.runs[name].send_signal(signal.SIGKILL)
        self.runs[name].wait()

    def is_alone(self, name: str) -> bool:
        """Whether a run has the cluster for itself, or had it when it ended."""
        return (self.root / f"{name}.alone").exists()

    def said(self, name: str) -> str:
        """What a run said."""
        path = self.root / f"{name}.said"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def machines(tmp_path: Path, kubeconfig: Path) -> Iterator[list[Machine]]:
    """Two control nodes of a cluster that is there."""
    both = [Machine(tmp_path / name, kubeconfig) for name in ("here", "there")]
    yield both
    for machine in both:
        for name in machine.runs:
            machine.end(name)


@pytest.mark.parametrize("is_there", [True, False])
def test_runs_of_one_machine_wait_for_each_other(
    machines: list[Machine], tmp_path: Path, is_there: bool
) -> None:
    """Also while there is no cluster; a run that was killed is waited for no more."""
    machine = machines[0]
    if not is_there:
        machine.kubeconfig = tmp_path / "none"
    first = machine.start("one")
    assert wait_until(lambda: machine.is_alone("one"), 20)
    machine.start("two")
    assert wait_until(lambda: machine.said("two"), 20)
    assert "waiting for the cluster, in use by " in machine.said("two")
    assert f"one.yml of root (process {first}, since " in machine.said("two")
    assert not machine.is_alone("two")
    note = json.loads((machine.root / "lock").read_text())
    assert note["pid"] == first
    assert set(note) == {"pid", "command", "user", "since"}

    (machine.root / "one" / "key").write_text("secret")
    machine.end("one")
    assert wait_until(lambda: machine.is_alone("two"), 20)
    assert wait_until(lambda: not (machine.root / "one").exists(), 5), "its files are left"


@pytest.mark.parametrize("tidies_up", [True, False])
def test_runs_of_two_machines_wait_for_each_other(
    machines: list[Machine], api: FakeApi, tidies_up: bool
) -> None:
    """Ansible removes the folder of a run at its end, but not where it is killed."""
    here, there = machines
    first = here.start("one")
    assert wait_until(lambda: here.is_alone("one"), 20)
    there.start("two")
    assert wait_until(lambda: there.said("two"), 20)
    assert f"one.yml of root (process {first}, since " in there.said("two")
    assert f" on {os.uname().nodename}" in there.said("two")
    assert not there.is_alone("two")

    if tidies_up:
        shutil.rmtree(here.root / "one")
    here.end("one")
    assert wait_until(lambda: there.is_alone("two"), 20)
    there.end("two")
    held = api.objects["leases", "kube-system", "slipway"]["spec"]
    assert wait_until(
        lambda: not api.objects["leases", "kube-system", "slipway"]["spec"]["holderIdentity"], 10
    ), held


def test_a_lease_that_nobody_renews_is_taken_over(
    kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(News, "say", said.append)
    monkeypatch.setattr(lease, "DURATION", 4)
    gone, other = Lease(kube, "make up elsewhere"), Lease(kube, "make apps here")
    gone.acquire()
    begun = time.monotonic()
    other.acquire()
    assert time.monotonic() - begun > 4
    assert said == ["waiting for the cluster, in use by make up elsewhere"]
    gone.renew()
    gone.release()
    found = kube.get(LEASES, "slipway", "kube-system")
    assert found
    assert found["spec"]["holderIdentity"] == "make apps here"


def test_a_lease_that_is_renewed_is_not(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "DURATION", 1)
    holds, waits = Lease(kube, "make up elsewhere"), Lease(kube, "make apps here")
    holds.acquire()
    for _ in range(4):
        assert not waits._take()
        time.sleep(0.5)
        holds.renew()
    holds.release()
    assert waits._take()


def test_of_two_that_find_no_lease_one_has_it(kube: Kube) -> None:
    one, other = Lease(kube, "one"), Lease(kube, "other")
    assert one.kube.create(one._wanted({}, "one"))
    assert not other.kube.create(other._wanted({}, "other"))
    found = one._found()
    assert found
    assert one._write(found, "one")
    assert not other._write(found, "other")

"""A cluster is changed by one run at a time: a lock on this machine, and a Lease in the cluster.

A process of its own holds both for a run, and lets them go when that ends, however it does. It
also removes the run's folder then, which a run that is killed cannot: secrets may be in there.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from slipway.errors import SlipwayError
from slipway.locks import Process, take_from

RENEW_SECONDS = 10.0
"""How often the Lease is renewed."""


@dataclass(frozen=True)
class Run:
    """A run of process ``pid``, whose own files are in ``folder``."""

    pid: int
    folder: str
    kubeconfig: str

    @property
    def holder(self) -> str:
        """What others are told of it."""
        return f"{Process.of(self.pid)} on {socket.gethostname()}"

    @property
    def is_alone_here(self) -> Path:
        """Is there while no other run of this machine changes the cluster."""
        return Path(self.folder, "alone-here")

    @property
    def is_alone(self) -> Path:
        """Is there while no other run of any machine does."""
        return Path(self.folder, "alone")


def be_alone(run: Run, lock: Path) -> None:
    """Have the cluster for a run alone; as long as there is no cluster, on this machine.

    It may be called again in the same run. Others are waited for, and it is said for whom.
    """
    if not run.is_alone_here.exists():
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("a+") as file:
            take_from(file, "the cluster", lambda: _noted(file))
            _note(file, run)
            _keep(run, file.fileno())
        run.is_alone_here.touch()
    if not run.is_alone.exists() and Path(run.kubeconfig).exists():
        # Only what has to do with a cluster loads what asks one.
        from slipway.kube.client import UNKNOWN_USER, ApiError, Kube, Unreachable
        from slipway.kube.lease import Lease

        try:
            with suppress(Unreachable), Kube(Path(run.kubeconfig)) as kube:
                Lease(kube, run.holder).acquire()
                run.is_alone.touch()
        except ApiError as error:
            # Of a kubeconfig whose certificate has ended; the run fetches a new one.
            if error.status != UNKNOWN_USER:
                raise


def _note(file: IO[str], run: Run) -> None:
    """Write into the lock's file who holds it."""
    file.truncate(0)
    json.dump(asdict(Process.of(run.pid)), file)
    file.flush()


def _noted(file: IO[str]) -> str:
    """Who holds the lock, as is written in its file."""
    file.seek(0)
    try:
        return str(Process(**json.load(file)))
    except (ValueError, TypeError):  # it is being written
        return ""


def _keep(run: Run, lock: int) -> None:
    """Start the process that holds the lock for the run: it has the file open."""
    subprocess.Popen(
        [sys.executable, "-m", "slipway.control_node.run_lock", json.dumps(asdict(run))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[lock],
        cwd="/",
    )


def hold(run: Run) -> None:
    """Renew the Lease, if the run has it, until the run ends; then let all go."""
    holder = run.holder
    with suppress(ProcessLookupError):
        process = os.pidfd_open(run.pid)
        ended = select.poll()
        ended.register(process, select.POLLIN)
        while not ended.poll(RENEW_SECONDS * 1000):
            if run.is_alone.exists():
                _on_lease(run, holder, "renew")
    # What told that the run has the Lease may have gone with it.
    _on_lease(run, holder, "release")
    shutil.rmtree(run.folder, ignore_errors=True)


def _on_lease(run: Run, holder: str, verb: str) -> None:
    """Renew or release the Lease, if it is the run's and the cluster is still there."""
    if Path(run.kubeconfig).exists():
        from slipway.kube.client import Kube
        from slipway.kube.lease import Lease

        with suppress(SlipwayError), Kube(Path(run.kubeconfig)) as kube:
            getattr(Lease(kube, holder), verb)()


if __name__ == "__main__":
    hold(Run(**json.loads(sys.argv[1])))

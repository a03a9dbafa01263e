"""A virtual machine, reached over SSH for as long as it runs.

It forgets what was written to its disks when it ends.
"""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slipway.errors import Problem, SlipwayError
from slipway.run import last_lines, run
from slipway.waiting import wait_until
from tests.vm.disks import Disks

BOOT_SECONDS = 600.0
"""How long it may take until its SSH answers."""

END_SECONDS = 30.0


@dataclass(frozen=True)
class Nic:
    """How a machine is on a segment: its place there, its addresses, and who else is there."""

    namespace: str
    """The network namespace with the segment."""
    port: str
    """The interface there that is the machine's port of the bridge."""
    mac: str
    address: str
    host: str
    netmask: str

    def ip(self, interface: str) -> str:
        """The kernel's parameter of that name, for what the machine calls its interface."""
        return f"ip={self.address}::{self.host}:{self.netmask}::{interface}:off"


@dataclass(frozen=True)
class Start:
    """What a machine is to be: ``memory`` is in MiB, ``folder`` takes what it writes."""

    folder: Path
    disks: Disks
    nic: Nic
    processors: int
    memory: int
    parameters: Sequence[str]
    """The kernel's, as far as they are the same for all hypervisors."""


class Hypervisor(Protocol):
    """What runs a machine."""

    factor: int
    """How many times longer than usual waits may be on its machines."""

    def plug(self, port: str) -> Sequence[Sequence[str]]:
        """What ``ip`` is to do that there is a port of the bridge, and a machine can be at it."""

    def argv(self, start: Start) -> Sequence[str]:
        """The program that is the machine; its output is the machine's console."""


@dataclass(frozen=True)
class Machine:
    """A machine that runs: how it is on a segment, and the folder with the key to it."""

    nic: Nic
    folder: Path

    def console(self) -> str:
        """The last lines of the machine's console."""
        return last_lines((self.folder / "console").read_text(encoding="utf-8", errors="replace"))

    def argv(self, command: str) -> list[str]:
        """What runs a shell command as root there."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        options += ["BatchMode=yes", "ConnectTimeout=30", "ServerAliveInterval=60"]
        options += ["ServerAliveCountMax=10"]
        return [
            *("ssh", "-i", str(self.folder / "key")),
            *(f"-o{option}" for option in options),
            f"root@{self.nic.address}",
            command,
        ]

    def answers(self) -> bool:
        """Whether commands can be run there."""
        done = subprocess.run(self.argv("true"), capture_output=True, check=False)
        return done.returncode == 0

    def reboot(self) -> None:
        """Start the machine anew; raises SlipwayError when it does not come back."""
        boot = "cat /proc/sys/kernel/random/boot_id"
        before = self.ask("reboot", f"{boot}; systemctl reboot --no-block").strip()

        def is_back() -> bool:
            done = subprocess.run(self.argv(boot), capture_output=True, text=True, check=False)
            return done.returncode == 0 and done.stdout.strip() != before

        if not wait_until(is_back, BOOT_SECONDS, 2):
            raise SlipwayError(Problem("reboot", f"does not come back\n{self.console()}"))

    def show(self, what: str, command: str, seconds: float) -> None:
        """Run a command with its output shown; SlipwayError when it fails or takes too long."""
        try:
            done = subprocess.run(
                self.argv(command), stdin=subprocess.DEVNULL, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise SlipwayError(Problem(what, f"took longer than {seconds:.0f} s")) from error
        if done.returncode != 0:
            raise SlipwayError(Problem(what, f"ended with code {done.returncode}"))

    def ask(self, what: str, command: str, *, seconds: float = 300, stdin: bytes = b"") -> str:
        """What a command says."""
        return run(self.argv(command), what=what, timeout=seconds, stdin=stdin)


@contextmanager
def running(
    name: str, hypervisor: Hypervisor, disks: Disks, nic: Nic, *, processors: int, memory: int
) -> Iterator[Machine]:
    """A machine for as long as it is needed.

    Raises SlipwayError with its last words when it does not start.
    """
    with tempfile.TemporaryDirectory(dir=disks.kernel.parent) as folder:
        machine = Machine(nic, Path(folder))
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", machine.folder / "key"],
            what="key for the machine",
        )
        key = base64.b64encode((machine.folder / "key.pub").read_bytes()).decode()
        parameters = [
            *("rw", "quiet", "mitigations=off", "audit=0", "systemd.firstboot=off"),
            f"systemd.hostname={name}",
            *(f"systemd.mount-extra={mount}" for mount in disks.mounts),
            f"systemd.set_credential_binary=ssh.authorized_keys.root:{key}",
        ]
        start = Start(machine.folder, disks, nic, processors, memory, parameters)
        with (machine.folder / "console").open("wb") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", nic.namespace, *hypervisor.argv(start)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"HOME": folder, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )
        try:
            wait_until(lambda: machine.answers() or process.poll() is not None, BOOT_SECONDS, 2)
            if process.poll() is not None or not machine.answers():
                what = f"does not start\n{machine.console()}"
                raise SlipwayError(Problem("virtual machine", what))
            yield machine
        finally:
            process.kill()
            process.wait(END_SECONDS)

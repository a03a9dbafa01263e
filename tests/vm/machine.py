"""A virtual machine: qemu's emulation of a PC, which needs nothing of the processor or the kernel.

It has no network but a port of this machine's loopback that leads to its SSH, and forgets what was
written to its disks when it ends.
"""

from __future__ import annotations

import base64
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import Problem, SlipwayError
from slipway.run import last_lines, run
from slipway.waiting import wait_until
from tests.vm.disks import CACHE, ENGINE, Disks

PROCESSOR = "max,la57=off,cx16=off"
"""All that qemu can emulate, but what takes it long (la57) and what qemu 7.2 does wrong: after a
cmpxchg16b the flags are not what they were, and the kernel stops."""

PROCESSORS = 2
MEMORY_MIB = 8192

BOOT_SECONDS = 600.0
"""How long it may take until its SSH answers."""

END_SECONDS = 30.0


@dataclass(frozen=True)
class Machine:
    """A machine that runs: the port that leads to its SSH, and the folder with the key to it."""

    port: int
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
            *("ssh", "-i", str(self.folder / "key"), "-p", str(self.port)),
            *(f"-o{option}" for option in options),
            "root@127.0.0.1",
            command,
        ]

    def answers(self) -> bool:
        """Whether commands can be run there."""
        done = subprocess.run(self.argv("true"), capture_output=True, check=False)
        return done.returncode == 0

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
def running(disks: Disks) -> Iterator[Machine]:
    """A machine for as long as it is needed.

    Raises SlipwayError with its last words when it does not start.
    """
    with tempfile.TemporaryDirectory(dir=disks.system.parent) as folder:
        machine = Machine(_free_port(), Path(folder))
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", machine.folder / "key"],
            what="key for the machine",
        )
        with (machine.folder / "console").open("wb") as output:
            process = subprocess.Popen(
                _qemu(disks, machine),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # What it writes to its disks.
                env={"TMPDIR": folder, "PATH": "/usr/bin:/bin"},
            )
        try:
            wait_until(lambda: machine.answers() or process.poll() is not None, BOOT_SECONDS, 2)
            if process.poll() is not None or not machine.answers():
                what = f"does not start\n{machine.console()}"
                raise SlipwayError(Problem("virtual machine", what))
            yield machine
        finally:
            process.terminate()
            process.wait(END_SECONDS)


def _qemu(disks: Disks, machine: Machine) -> Sequence[str]:
    key = base64.b64encode((machine.folder / "key.pub").read_bytes()).decode()
    kernel = [
        "root=/dev/vda rw console=ttyS0 quiet mitigations=off audit=0",
        "panic=-1 systemd.firstboot=off",  # the end of the kernel is that of qemu
        f"systemd.mount-extra={CACHE}/{ENGINE}:/var/lib/docker:none:bind",
        f"systemd.set_credential_binary=ssh.authorized_keys.root:{key}",
    ]
    forward = f"hostfwd=tcp:127.0.0.1:{machine.port}-:22"
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none"),
        *("-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", PROCESSOR),
        *("-smp", str(PROCESSORS), "-m", str(MEMORY_MIB), "-serial", "stdio"),
        *("-kernel", str(disks.kernel), "-initrd", str(disks.initrd), "-append", " ".join(kernel)),
        *(
            argument
            for disk in (disks.system, disks.cache)
            for argument in (
                "-drive",
                f"file={disk},format=raw,if=virtio,cache=unsafe,snapshot=on",
            )
        ),
        *("-netdev", f"user,id=net,restrict=on,{forward}", "-device", "virtio-net-pci,netdev=net"),
        *("-device", "virtio-rng-pci"),
    ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port

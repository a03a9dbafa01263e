"""A virtual machine: qemu's emulation of a PC, which needs nothing of the processor or the kernel.

It forgets what was written to its disks when it ends.
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
from tests.vm.disks import Disks

PROCESSOR = "max,la57=off,cx16=off"
"""All that qemu can emulate, but what takes it long (la57) and what qemu 7.2 does wrong: after a
cmpxchg16b the flags are not what they were, and the kernel stops."""

TRANSLATED = 2047
"""MiB of translated code that are kept: the most that qemu takes."""

BOOT_SECONDS = 600.0
"""How long it may take until its SSH answers."""

END_SECONDS = 30.0


@dataclass(frozen=True)
class Nic:
    """How a machine is on a network: where its SSH is, and what qemu and its kernel are told.

    ``ip`` is the kernel's parameter of that name; ``prefix`` is what qemu is started by.
    """

    address: str
    port: int
    netdev: str
    mac: str
    ip: str
    prefix: tuple[str, ...] = ()

    @classmethod
    def of_loopback(cls) -> Nic:
        """No network but a port of this machine's loopback that leads to the SSH."""
        port = _free_port()
        return cls(
            address="127.0.0.1",
            port=port,
            netdev=f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22",
            mac="52:54:00:00:00:01",
            ip="10.0.2.15::10.0.2.2:255.255.255.0::eth0:off",
        )


@dataclass(frozen=True)
class Machine:
    """A machine that runs: how it is on a network, and the folder with the key to it."""

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
            *("ssh", "-i", str(self.folder / "key"), "-p", str(self.nic.port)),
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
    name: str, disks: Disks, *, nic: Nic | None = None, processors: int = 2, memory: int = 8192
) -> Iterator[Machine]:
    """A machine for as long as it is needed; ``memory`` is in MiB.

    Raises SlipwayError with its last words when it does not start.
    """
    with tempfile.TemporaryDirectory(dir=disks.kernel.parent) as folder:
        machine = Machine(nic or Nic.of_loopback(), Path(folder))
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", machine.folder / "key"],
            what="key for the machine",
        )
        with (machine.folder / "console").open("wb") as output:
            process = subprocess.Popen(
                _qemu(name, disks, machine, processors, memory),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # What it writes to its disks.
                env={"TMPDIR": folder, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
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


def _qemu(name: str, disks: Disks, machine: Machine, processors: int, memory: int) -> Sequence[str]:
    key = base64.b64encode((machine.folder / "key.pub").read_bytes()).decode()
    kernel = [
        "root=/dev/vda rw console=ttyS0 quiet mitigations=off audit=0",
        "systemd.firstboot=off",
        f"net.ifnames=0 ip={machine.nic.ip} systemd.hostname={name}",
        *(f"systemd.mount-extra={mount}" for mount in disks.mounts),
        f"systemd.set_credential_binary=ssh.authorized_keys.root:{key}",
    ]
    return [
        *machine.nic.prefix,
        *("qemu-system-x86_64", "-nodefaults", "-display", "none"),
        *("-machine", "q35", "-accel", f"tcg,thread=multi,tb-size={TRANSLATED}"),
        *("-cpu", PROCESSOR),
        *("-smp", str(processors), "-m", str(memory), "-serial", "stdio"),
        *("-kernel", str(disks.kernel), "-initrd", str(disks.initrd), "-append", " ".join(kernel)),
        *(
            argument
            for disk in disks.disks
            for argument in (
                "-drive",
                f"file={disk},format=raw,if=virtio,cache=unsafe,snapshot=on",
            )
        ),
        *("-netdev", machine.nic.netdev),
        *("-device", f"virtio-net-pci,netdev=net,mac={machine.nic.mac}"),
        *("-device", "virtio-rng-pci"),
    ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port

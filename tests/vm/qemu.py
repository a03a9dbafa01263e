"""qemu with KVM: a PC with Debian's own kernel, where the machine at hand can run one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tests.vm.machine import Start

DEVICE, PROCESSOR = Path("/dev/kvm"), Path("/proc/cpuinfo")

TOOLS = ("qemu",)


def can_run() -> bool:
    """Whether this machine's processor runs others, and this user may have it do so.

    A virtual machine may have the device without a processor for it.
    """
    runs = re.search(r"^flags\b.* (vmx|svm) ", PROCESSOR.read_text(), re.MULTILINE)
    return runs is not None and os.access(DEVICE, os.R_OK | os.W_OK)


class Qemu:
    """Runs a machine by qemu."""

    factor = 2

    def plug(self, port: str) -> Sequence[Sequence[str]]:
        """A device that qemu opens."""
        return [["tuntap", "add", port, "mode", "tap"]]

    def argv(self, start: Start) -> Sequence[str]:
        """The program that is the machine."""
        kernel = ["root=/dev/vda", "console=ttyS0", start.nic.ip("eth0"), "net.ifnames=0"]
        return [
            *("env", f"TMPDIR={start.folder}"),
            *("qemu-system-x86_64", "-nodefaults", "-display", "none"),
            *("-machine", "q35", "-accel", "kvm", "-cpu", "host"),
            *("-smp", str(start.processors), "-m", str(start.memory), "-serial", "stdio"),
            *("-kernel", str(start.disks.kernel), "-initrd", str(start.disks.initrd)),
            *("-append", " ".join([*kernel, *start.parameters])),
            *(
                argument
                for disk in start.disks.disks
                for argument in (
                    "-drive",
                    f"file={disk},format=raw,if=virtio,cache=unsafe,snapshot=on",
                )
            ),
            *("-netdev", f"tap,id=net,ifname={start.nic.port},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac={start.nic.mac}"),
            *("-device", "virtio-rng-pci"),
        ]

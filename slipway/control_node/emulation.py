"""Programs of other processors on this machine: the kernel has QEMU's user mode run them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from slipway.architecture import Architecture
from slipway.control_node import tools
from slipway.errors import Problem, SlipwayError
from slipway.run import finished, run

FORMATS = Path("/proc/sys/fs/binfmt_misc")
"""Where the kernel is told which programs run others (binfmt_misc)."""

_MACHINES = {Architecture.AMD64: 62, Architecture.ARM64: 183}
"""What the header of a program calls them (elf(5), e_machine)."""

_EXIT = {
    Architecture.AMD64: bytes.fromhex("b83c000000 31ff 0f05"),
    Architecture.ARM64: bytes.fromhex("a80b80d2 000080d2 010000d4"),
}
"""The instructions that end a program well."""

_ADDRESS = 0x400000
_HEADERS = 64 + 56

SECONDS = 30.0
"""How long a program that does nothing may take."""


def have(architecture: Architecture, say: Callable[[str], None]) -> None:
    """Have this machine run the architecture's programs, also in a file system of theirs.

    What the kernel is told for that holds until it is started anew. Raises SlipwayError.
    """
    if architecture is Architecture.here() or runs(architecture):
        return
    tools.have(["qemu_user"], say)  # whose package may tell the kernel
    if runs(architecture):
        return
    why = "the kernel does not start them by QEMU"
    try:
        _register(architecture)
    except (OSError, SlipwayError) as error:
        why = str(error)
    if not runs(architecture):  # unless another run has just told it
        raise _refusal(architecture, why)


def runs(architecture: Architecture) -> bool:
    """Whether a program of the architecture runs here; one is tried that does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "program")
        path.write_bytes(program(architecture))
        path.chmod(0o755)
        try:
            return finished([str(path)], SECONDS).returncode == 0
        except OSError:
            return False


def program(architecture: Architecture) -> bytes:
    """A program of the architecture that does nothing (elf(5))."""
    code = _EXIT[architecture]
    size = _HEADERS + len(code)
    return b"".join(
        [
            _identity(architecture),
            _numbers(4, 1),  # e_version
            _numbers(8, _ADDRESS + _HEADERS, 64, 0),  # e_entry, e_phoff, e_shoff
            _numbers(4, 0),  # e_flags
            _numbers(2, 64, 56, 1, 0, 0, 0),  # sizes and counts of headers
            _numbers(4, 1, 5),  # of the only segment: PT_LOAD, to be read and run
            _numbers(8, 0, _ADDRESS, _ADDRESS, size, size, 0x10000),
            code,
        ]
    )


def _identity(architecture: Architecture) -> bytes:
    """How a program begins: of 64 bits, little-endian, and its processor."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + _numbers(2, 2, _MACHINES[architecture])


def _numbers(size: int, *values: int) -> bytes:
    return b"".join(value.to_bytes(size, "little") for value in values)


def _register(architecture: Architecture) -> None:
    """Tell the kernel that QEMU runs the architecture's programs.

    It opens QEMU now (F), so that other file systems need not have it.
    """
    if not (FORMATS / "register").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", FORMATS], what="programs by QEMU")
    # Any kind of system; a program, or one that may be at any address (e_type 2 and 3).
    mask = b"\xff" * 7 + bytes(9) + b"\xfe\xff\xff\xff"
    magic, of_it = (_escaped(each) for each in (_identity(architecture), mask))
    qemu = f"/usr/bin/qemu-{architecture.machine}-static"
    name = f"qemu-{architecture.machine}"
    (FORMATS / "register").write_text(f":{name}:M::{magic}:{of_it}:{qemu}:F", encoding="ascii")


def _escaped(text: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text)


def _refusal(architecture: Architecture, why: str) -> SlipwayError:
    may = "" if os.geteuid() == 0 else "run it once as root, or "
    fix = f"{may}make the bundle on a machine with {architecture.machine}"
    return SlipwayError(Problem(f"programs of {architecture}", f"do not run here: {why}", fix))

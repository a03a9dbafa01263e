"""Programs of other processors: what is tried, and what the kernel is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway.architecture import Architecture
from slipway.control_node import emulation, tools
from slipway.errors import SlipwayError

OTHER = next(each for each in Architecture if each is not Architecture.here())


class Kernel:
    """A kernel that runs others' programs once it was told how, and what was installed."""

    def __init__(self, formats: Path) -> None:
        self.formats = formats
        self.installed: list[str] = []
        self.has_systemd = False
        """Whether a package tells the kernel by itself."""
        self.is_told = False
        """Whether another run has told it."""

    def runs(self, architecture: Architecture) -> bool:
        """As :func:`emulation.runs`."""
        register = self.formats / "register"
        told = register.exists() and f"qemu-{architecture.machine}" in register.read_text()
        by_package = self.has_systemd and bool(self.installed)
        return architecture is Architecture.here() or told or by_package or self.is_told

    def install(self, names: list[str], _say: object) -> list[str]:
        """As :func:`tools.have`."""
        self.installed += names
        return names


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    formats = tmp_path / "binfmt_misc"
    formats.mkdir()
    (formats / "register").touch()
    kernel = Kernel(formats)
    monkeypatch.setattr(emulation, "FORMATS", formats)
    monkeypatch.setattr(emulation, "runs", kernel.runs)
    monkeypatch.setattr(tools, "have", kernel.install)
    return kernel


def test_the_program_that_is_tried_runs_on_a_machine_of_its_kind() -> None:
    assert emulation.runs(Architecture.here())


def test_what_is_no_program_of_this_machine_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "program", lambda _architecture: bytes(200))
    assert not emulation.runs(Architecture.here())


def test_of_this_machine_s_own_programs_nothing_has_to_be_told(kernel: Kernel) -> None:
    emulation.have(Architecture.here(), print)
    assert kernel.installed == []
    assert (kernel.formats / "register").read_text() == ""


def test_the_kernel_is_told_how_others_programs_begin(kernel: Kernel) -> None:
    emulation.have(OTHER, print)
    assert kernel.installed == ["qemu_user"]
    _, name, by, _, magic, mask, qemu, flags = (kernel.formats / "register").read_text().split(":")
    assert (name, by, flags) == (f"qemu-{OTHER.machine}", "M", "F")
    assert qemu == f"/usr/bin/qemu-{OTHER.machine}-static"
    shown, counts = (bytes.fromhex(each.replace("\\x", "")) for each in (magic, mask))
    assert len(shown) == len(counts) == 20

    def is_meant(program: bytes) -> bool:
        return all(a & m == b & m for a, b, m in zip(program, shown, counts, strict=False))

    assert is_meant(emulation.program(OTHER))
    assert not is_meant(emulation.program(Architecture.here()))
    of_linux_at_any_address = bytearray(emulation.program(OTHER))
    of_linux_at_any_address[7], of_linux_at_any_address[16] = 3, 3
    assert is_meant(bytes(of_linux_at_any_address))


def test_what_a_package_has_told_the_kernel_is_not_told_again(kernel: Kernel) -> None:
    kernel.has_systemd = True
    emulation.have(OTHER, print)
    assert (kernel.formats / "register").read_text() == ""


def test_what_another_run_tells_the_kernel_meanwhile_is_enough(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def register(_architecture: Architecture) -> None:
        kernel.is_told = True
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(emulation, "_register", register)
    emulation.have(OTHER, print)
    assert kernel.runs(OTHER)


@pytest.mark.parametrize(("user", "may"), [(0, "make the bundle"), (1000, "run it once as root")])
def test_where_the_kernel_cannot_be_told_the_other_way_is_shown(
    user: int, may: str, kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kernel.formats / "register").unlink()
    (tmp_path / "mount").write_text("#!/bin/sh\necho mount: permission denied >&2\nexit 1\n")
    (tmp_path / "mount").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(SlipwayError, match="mount: permission denied") as caught:
        emulation.have(OTHER, print)
    (problem,) = caught.value.problems
    assert problem.where == f"programs of {OTHER}"
    assert problem.fix.startswith(may)
    assert problem.fix.endswith(f"on a machine with {OTHER.machine}")


def test_a_kernel_that_was_told_in_vain_is_no_success(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulation, "runs", lambda _architecture: False)
    with pytest.raises(SlipwayError, match="does not start them by QEMU"):
        emulation.have(OTHER, print)

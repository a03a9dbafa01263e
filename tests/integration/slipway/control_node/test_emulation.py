"""This machine's kernel runs programs of another processor, by QEMU."""

from __future__ import annotations

import subprocess
from pathlib import Path

from slipway.architecture import Architecture
from slipway.control_node import emulation

(OTHER,) = {*Architecture} - {Architecture.here()}


def test_programs_of_another_processor_run_here_also_where_there_is_nothing_else(
    tmp_path: Path,
) -> None:
    emulation.have(OTHER, print)
    assert emulation.runs(OTHER)
    (tmp_path / "program").write_bytes(emulation.program(OTHER))
    (tmp_path / "program").chmod(0o755)
    subprocess.run(["chroot", tmp_path, "/program"], check=True)

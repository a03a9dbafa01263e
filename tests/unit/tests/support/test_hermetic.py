"""Who starts a program or goes beyond this machine is found out, and nobody else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.hermetic import NotHermetic, nothing_real

SHELL = Path("/bin/sh")


def found(work: Callable[[], object]) -> str:
    """What is said of some work that takes every error for its own; empty if nothing is."""
    try:
        with nothing_real(), suppress(NotHermetic):
            work()
    except pytest.fail.Exception as failure:
        return str(failure)
    return ""


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda: subprocess.run(["sh", "-c", "true"], check=True), "it started /"),
        (lambda: subprocess.run("true", shell=True, check=True), "it started /bin/sh"),
        (lambda: subprocess.run([SHELL], check=True), "it started /bin/sh"),
        (lambda: os.posix_spawn(SHELL, ["sh", "-c", "true"], {}), "it started /bin/sh"),
        (lambda: os.system("true"), "it started true"),
        (lambda: socket.create_connection(("192.0.2.1", 80), 0.1), "it asked 192.0.2.1"),
        (lambda: socket.create_connection(("2001:db8::1", 80), 0.1), "it asked 2001:db8::1"),
        (lambda: socket.getaddrinfo("git.example.org", 443), "it asked git.example.org"),
    ],
)
def test_what_is_not_hermetic_is_told(work: Callable[[], object], words: str) -> None:
    assert found(work).startswith(words)


def test_a_link_to_a_program_is_that_program(tmp_path: Path) -> None:
    (tmp_path / "tool").symlink_to(SHELL)
    assert "it started" in found(lambda: subprocess.run([tmp_path / "tool"], check=True))


def test_this_python_and_stand_ins_are_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho done\n")
    (tmp_path / "tool").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def work() -> None:
        subprocess.run([sys.executable, "-c", ""], check=True)
        assert subprocess.check_output(["tool"]) == b"done\n"
        os.waitpid(os.posix_spawn(tmp_path / "tool", ["tool"], {}), 0)
        with pytest.raises(FileNotFoundError):
            subprocess.run(["no-such-tool"], check=True)

    assert found(work) == ""


def test_this_machine_may_be_asked() -> None:
    def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(("localhost", server.getsockname()[1]), 5).close()

    assert found(work) == ""

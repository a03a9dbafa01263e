"""What this machine needs: the tools that build, and the engine that runs container nodes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import Problem, SlipwayError
from slipway.run import last_lines, run

ENGINE_SECONDS = 60.0
"""How long a container engine may take to answer after its start."""


@dataclass(frozen=True)
class Tool:
    """A need of this machine: how to see that it is met, and Debian's packages that meet it."""

    packages: tuple[str, ...]
    commands: tuple[str, ...] = ()
    file: str = ""
    """A glob below ``/`` of which there must be a match."""

    def is_there(self) -> bool:
        """Whether nothing has to be installed."""
        found = all(shutil.which(command) for command in self.commands)
        return found and (not self.file or any(Path("/").glob(self.file)))


TOOLS = {
    "c_compiler": Tool(("gcc", "libc6-dev"), ("gcc",), "usr/include/stdio.h"),
    "docker": Tool(("docker.io", "iptables"), ("docker", "dockerd", "iptables")),
    "git": Tool(("git",), ("git",)),
    "jdk": Tool(("default-jdk-headless",), ("javac",)),
    "libseccomp": Tool(("libseccomp-dev",), (), "usr/include/seccomp.h"),
    "maven": Tool(("maven",), ("mvn",)),
    "mmdebstrap": Tool(("mmdebstrap",), ("mmdebstrap",)),
    "pkg_config": Tool(("pkg-config",), ("pkg-config",)),
}
"""Needs by name."""


def missing(names: Iterable[str]) -> list[str]:
    """The needs that are not met, by name."""
    return [name for name in names if not TOOLS[name].is_there()]


def install(names: Sequence[str], say: Callable[[str], None]) -> None:
    """Install Debian's packages for the needs.

    Raises SlipwayError with the command to run when this user must not install packages.
    """
    packages = sorted({package for name in names for package in TOOLS[name].packages})
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        what = f"needs {', '.join(names)}"
        raise SlipwayError(Problem("this machine", what, f"as root: {' '.join(command)}"))
    say(f"installing {' '.join(packages)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    # A package's script must not start a service: whether one runs is decided below.
    run(["apt-get", "update"], what="list of Debian's packages", env=quiet)
    run(command, what="installation of packages", env=quiet)


@dataclass(frozen=True)
class Engine:
    """This machine's container engine; ``state`` is the directory that remembers our start."""

    state: Path

    @property
    def _pid_file(self) -> Path:
        return self.state / "dockerd.pid"

    def answers(self) -> bool:
        """Whether the engine can be asked (by this user or not)."""
        said = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
        return said.returncode == 0 or "permission denied" in said.stderr.lower()

    def start(self, say: Callable[[str], None]) -> None:
        """Start the engine and wait until it answers.

        Raises SlipwayError with its last words when it does not.
        """
        say("starting the container engine")
        if Path("/run/systemd/system").is_dir():
            run(["systemctl", "enable", "--now", "docker"], what="start of Docker")
            return
        self.state.mkdir(parents=True, exist_ok=True)
        log = self.state / "dockerd.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["dockerd"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )
        self._pid_file.write_text(f"{process.pid}\n", encoding="ascii")
        deadline = time.monotonic() + ENGINE_SECONDS
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                said = last_lines(log.read_text(encoding="utf-8", errors="replace"))
                raise SlipwayError(Problem("dockerd", f"does not answer; it last said\n{said}"))
            time.sleep(0.2)

    def is_ours(self) -> bool:
        """Whether the engine that runs is the one that :meth:`start` started."""
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
            name = Path(f"/proc/{pid}/comm").read_text(encoding="ascii")
        except (OSError, ValueError):
            return False
        return name.strip() == "dockerd"

    def stop(self) -> None:
        """Stop the engine that :meth:`start` started, and wait until it has ended."""
        pid = int(self._pid_file.read_text(encoding="ascii"))
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + ENGINE_SECONDS
        while self.is_ours() and time.monotonic() < deadline:
            time.sleep(0.1)
        if self.is_ours():
            raise SlipwayError(Problem("dockerd", f"process {pid} does not end"))
        self._pid_file.unlink()

"""What this machine needs: the tools that build, and the engine that runs container nodes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import Problem, SlipwayError
from slipway.run import last_lines, run
from slipway.waiting import allowed, wait_until

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian's place for the rule on which services packages may start."""

SYSTEMD = Path("/run/systemd/system")
"""Is there where systemd runs (sd_booted(3)), and starts what has to run."""

ENGINE_SECONDS = 60.0
"""How long a container engine may take to answer after its start."""


@dataclass(frozen=True)
class Tool:
    """A need of this machine: how to see that it is met, and Debian's packages that meet it."""

    packages: tuple[str, ...]
    commands: tuple[str, ...] = ()
    file: str = ""
    """A glob below ``/`` of which there must be a match."""
    split_off: tuple[str, ...] = ()
    """Packages that are needed as well where the release has them."""

    def is_there(self) -> bool:
        """Whether nothing has to be installed."""
        found = all(shutil.which(command) for command in self.commands)
        return found and (not self.file or any(Path("/").glob(self.file)))


TOOLS = {
    "c_compiler": Tool(("gcc", "libc6-dev"), ("gcc",), "usr/include/stdio.h"),
    "docker": Tool(
        ("docker.io", "iptables"),
        ("docker", "dockerd", "iptables"),
        split_off=("docker-cli",),  # since Debian 13
    ),
    "docker_registry": Tool(("docker-registry",), ("docker-registry",)),
    "git": Tool(("git",), ("git",)),
    "jdk": Tool(("default-jdk-headless",), ("javac",)),
    "libseccomp": Tool(("libseccomp-dev",), (), "usr/include/seccomp.h"),
    "maven": Tool(("maven",), ("mvn",)),
    "mke2fs": Tool(("e2fsprogs",), ("mke2fs",)),
    "mmdebstrap": Tool(("mmdebstrap",), ("mmdebstrap",)),
    "nginx": Tool(("nginx-light",), ("nginx",)),
    "openssl": Tool(("openssl",), ("openssl",)),
    "pkg_config": Tool(("pkg-config",), ("pkg-config",)),
    "qemu": Tool(("qemu-system-x86",), ("qemu-system-x86_64",)),
    "skopeo": Tool(("skopeo",), ("skopeo",)),
    "ssh": Tool(("openssh-client",), ("ssh", "ssh-keygen")),
    "sshd": Tool(("openssh-server",), (), "usr/sbin/sshd"),
}
"""Needs by name."""


def have(names: Iterable[str], say: Callable[[str], None]) -> list[str]:
    """Install what is missing of the needs, as :func:`install` does; return what that was."""
    lacking = missing(names)
    if lacking:
        install(lacking, say)
    return lacking


def missing(names: Iterable[str]) -> list[str]:
    """The needs that are not met, by name."""
    return [name for name in names if not TOOLS[name].is_there()]


def install(names: Sequence[str], say: Callable[[str], None]) -> None:
    """Install Debian's packages for the needs.

    Raises SlipwayError with the command to run when this user must not install packages, and
    when a need is not met by them.
    """
    packages = sorted({package for name in names for package in TOOLS[name].packages})
    install = ["apt-get", "install", "--yes", "--no-install-recommends"]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        what = f"needs {', '.join(names)}"
        fix = f"as root: {' '.join([*install, *packages])}"
        raise SlipwayError(Problem("this machine", what, fix))
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], what="list of Debian's packages", env=quiet)
    packages += [each for name in names for each in TOOLS[name].split_off if _is_known(each)]
    say(f"installing {' '.join(packages)}")
    with _services_stay_down(POLICY):
        run([*install, *packages], what="installation of packages", env=quiet)
    lacking = missing(names)
    if lacking:
        what = f"still needs {', '.join(lacking)} after the installation of {' '.join(packages)}"
        raise SlipwayError(Problem("this machine", what))


def _is_known(package: str) -> bool:
    """Whether this release of Debian has the package."""
    shown = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return shown.returncode == 0


@contextmanager
def _services_stay_down(policy: Path) -> Iterator[None]:
    """Keep packages from starting what they bring: a tool is wanted, not its service.

    Debian asks ``policy-rc.d`` (invoke-rc.d(8)); 101 forbids. One that is there already is the
    machine owner's, and decides.
    """
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


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

    def has_containers(self) -> bool:
        """Whether containers run on the engine; raises SlipwayError when it does not say."""
        return bool(run(["docker", "ps", "--quiet"], what="list of containers").strip())

    def start(self, say: Callable[[str], None]) -> None:
        """Start the engine and wait until it answers.

        Raises SlipwayError with its last words when it does not.
        """
        say("starting the container engine")
        if SYSTEMD.is_dir():
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
        wait_until(lambda: self.answers() or process.poll() is not None, allowed(ENGINE_SECONDS))
        if not self.answers():
            said = last_lines(log.read_text(encoding="utf-8", errors="replace"))
            raise SlipwayError(Problem("dockerd", f"does not answer; it last said\n{said}"))

    def is_ours(self) -> bool:
        """Whether the engine that :meth:`start` started still runs.

        One that has ended, but that nobody has taken note of yet, is a zombie (state Z, proc(5)).
        """
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
            process = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        except (OSError, ValueError):
            return False
        return re.match(r"\d+ \(dockerd\) [^Z]", process) is not None

    def stop(self) -> None:
        """Stop the engine that :meth:`start` started, and wait until it has ended."""
        pid = int(self._pid_file.read_text(encoding="ascii"))
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: not self.is_ours(), allowed(ENGINE_SECONDS)):
            raise SlipwayError(Problem("dockerd", f"process {pid} does not end"))
        self._pid_file.unlink()

"""What this machine needs: the tools that build, and the engine that runs container nodes."""

from __future__ import annotations

import fcntl
import getpass
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from slipway.errors import Problem, SlipwayError
from slipway.interrupts import also_when_ended
from slipway.run import QUICK, last_lines, run, said
from slipway.waiting import allowed, wait_until

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian's place for the rule on which services packages may start."""

OWN_POLICY = "#!/bin/sh\n# Slipway installs tools, and not their services.\nexit 101\n"
"""The rule that no service may start, as Slipway writes it."""

SYSTEMD = Path("/run/systemd/system")
"""Is there where systemd runs (sd_booted(3)), and starts what has to run."""

ENGINE_SECONDS = 60.0
"""How long a container engine may take to answer after its start."""


APT = ("apt-get", "install", "--yes", "--no-install-recommends", "--no-remove")
"""What installs on Debian and what is made of it; nothing that is there goes for it."""

MANAGERS = {"dnf": ("dnf", "install"), "pacman": ("pacman", "-S", "--needed")}
"""Other package managers, whose commands are told to whoever runs Slipway there."""


@dataclass(frozen=True)
class Tool:
    """A need of this machine: how to see that it is met, and the packages that meet it.

    ``packages`` are Debian's, written as Debian writes a dependency: of ``this | that``, the first
    that the machine's archives have is taken; ``-`` is nothing.
    """

    packages: tuple[str, ...]
    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Globs below ``/``, one of which must match."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """What others call it, by package manager, and by the code name of a release of Ubuntu."""
    instead: Callable[[], bool] = lambda: False
    """What else meets the need, if nothing of that is there."""

    def is_there(self) -> bool:
        """Whether nothing has to be installed."""
        commands = all(shutil.which(command) for command in self.commands)
        files = not self.files or any(any(Path("/").glob(one)) for one in self.files)
        named = bool(self.commands or self.files)
        return (named and commands and files) or self.instead()


def _ask_engine() -> subprocess.CompletedProcess[str]:
    """What Docker's engine says; other programs that are called docker have no server to ask."""
    argv = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        return said(*argv)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(argv, 127, "", str(error))


def _engine_answers() -> bool:
    """Whether a container engine can be asked, by this user or by others."""
    answer = _ask_engine()
    return answer.returncode == 0 or _is_refusal(answer.stderr)


def _is_refusal(text: str) -> bool:
    return "permission denied" in text.lower()


def _makes_environments() -> bool:
    """Whether this Python is new enough for Slipway and has what makes environments."""
    return sys.version_info >= (3, 11) and all(map(find_spec, ("venv", "ensurepip")))


TOOLS = {
    "c_compiler": Tool(
        ("gcc", "libc6-dev"),
        ("gcc",),
        ("usr/lib/libc.a", "usr/lib64/libc.a", "usr/lib/*/libc.a"),
        {"dnf": "gcc glibc-static", "pacman": "gcc"},
    ),
    # Of other machines; what it links is beside it, in a file system of theirs.
    "c_compiler_amd64": Tool(
        ("gcc-x86-64-linux-gnu",),
        ("x86_64-linux-gnu-gcc",),
        elsewhere={"dnf": "gcc-x86_64-linux-gnu", "pacman": "x86_64-linux-gnu-gcc"},
    ),
    "c_compiler_arm64": Tool(
        ("gcc-aarch64-linux-gnu",),
        ("aarch64-linux-gnu-gcc",),
        elsewhere={"dnf": "gcc-aarch64-linux-gnu", "pacman": "aarch64-linux-gnu-gcc"},
    ),
    "docker": Tool(
        # Where Docker's own archive is set up, its packages; docker-cli is apart since Debian 13.
        ("docker-ce | docker.io", "docker-ce-cli | docker-cli | -", "iptables"),
        ("docker", "dockerd", "iptables"),
        elsewhere={"dnf": "moby-engine iptables-nft", "pacman": "docker iptables-nft"},
        instead=_engine_answers,
    ),
    "docker_registry": Tool(("docker-registry",), ("docker-registry",)),
    "git": Tool(("git",), ("git",), elsewhere={"dnf": "git", "pacman": "git"}),
    "git_lfs": Tool(("git-lfs",), ("git-lfs",)),
    "jdk": Tool(
        ("default-jdk-headless",),
        ("javac",),
        # The default of Ubuntu 22.04 is Java 11, which Spring Boot 3 does not run on.
        elsewhere={
            "jammy": "openjdk-17-jdk-headless",
            "dnf": "java-21-openjdk-devel",
            "pacman": "jdk21-openjdk",
        },
    ),
    "kernel_compiler": Tool(
        ("make", "flex", "bison", "bc", "xz-utils"), ("make", "flex", "bison", "bc", "xz")
    ),
    "libseccomp": Tool(
        ("libseccomp-dev",),
        (),
        ("usr/lib/libseccomp.a", "usr/lib64/libseccomp.a", "usr/lib/*/libseccomp.a"),
        {"dnf": "libseccomp-devel libseccomp-static"},
    ),
    "maven": Tool(("maven",), ("mvn",), elsewhere={"dnf": "maven", "pacman": "maven"}),
    "mke2fs": Tool(("e2fsprogs",), ("mke2fs",)),
    "mmdebstrap": Tool(("mmdebstrap",), ("mmdebstrap",)),
    "nginx": Tool(("nginx-light",), ("nginx",)),
    "openssl": Tool(("openssl",), ("openssl",)),
    "pkg_config": Tool(
        ("pkg-config",),
        ("pkg-config",),
        elsewhere={"dnf": "pkgconf-pkg-config", "pacman": "pkgconf"},
    ),
    "python": Tool(
        ("python3-venv",),
        elsewhere={"jammy": "python3.11-venv", "dnf": "python3", "pacman": "python"},
        instead=_makes_environments,
    ),
    "qemu": Tool(("qemu-system-x86",), ("qemu-system-x86_64",)),
    "qemu_user": Tool(
        ("qemu-user-static",),
        ("qemu-aarch64-static", "qemu-x86_64-static"),
        elsewhere={"dnf": "qemu-user-static", "pacman": "qemu-user-static"},
    ),
    "skopeo": Tool(("skopeo",), ("skopeo",)),
    "ssh": Tool(("openssh-client",), ("ssh", "ssh-keygen")),
    "sshd": Tool(("openssh-server",), (), ("usr/sbin/sshd",)),
    # Who is not root makes file systems as root of a name space.
    "uidmap": Tool(
        ("uidmap",),
        ("newuidmap",),
        elsewhere={"dnf": "shadow-utils", "pacman": "shadow"},
        instead=lambda: os.geteuid() == 0,
    ),
}
"""Needs by name."""

OF_A_RUN = (
    *("c_compiler", "docker", "git", "libseccomp"),
    *("mmdebstrap", "pkg_config", "python", "uidmap"),
)
"""What ``make up`` needs where nothing is in the cache yet."""


def have(names: Iterable[str], say: Callable[[str], None]) -> list[str]:
    """Install what is missing of the needs, as :func:`install` does; return what that was."""
    _remove_left_over(POLICY)
    lacking = missing(names)
    if lacking:
        install(lacking, say)
    return lacking


def missing(names: Iterable[str]) -> list[str]:
    """The needs that are not met, by name."""
    return [name for name in names if not TOOLS[name].is_there()]


def install(names: Sequence[str], say: Callable[[str], None]) -> None:
    """Install Debian's packages for the needs.

    Raises SlipwayError with what root has to do when this user must not install packages, or
    Slipway does not know how; and when a need is not met by them.
    """
    if problem := refusal(names):
        raise SlipwayError(problem)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], what="list of Debian's packages", env=quiet)
    packages = _packages(names)
    say(f"installing {' '.join(packages)}")
    with _services_stay_down(POLICY):
        run([*APT, *packages], what="installation of packages", env=quiet, fix=_CONFLICT)
    lacking = missing(names)
    if lacking:
        what = f"still needs {', '.join(lacking)} after the installation of {' '.join(packages)}"
        raise SlipwayError(Problem("this machine", what))


_CONFLICT = "packages that others brought stay: meet the need with what goes with them"


def refusal(names: Sequence[str]) -> Problem | None:
    """Why a run cannot install what meets the needs, with all that root has to do instead.

    That is what the whole of ``make up`` needs, so that root is asked once.
    """
    is_root = os.geteuid() == 0
    if is_root and shutil.which(APT[0]):
        return None
    later = [name for name in missing(OF_A_RUN) if name not in names]
    what = f"needs {', '.join(names)}"
    if later:
        what += f", and for other steps {', '.join(later)}"
    commands = _installation([*names, *later])
    if not is_root and "docker" in [*names, *later]:
        commands += _membership()
    return Problem("this machine", what, _as_root(*commands))


def _as_root(*commands: str) -> str:
    return "\n         ".join(["as root:", *commands])


def _membership() -> list[str]:
    """How root lets this user ask the engine."""
    user = getpass.getuser()
    return [f"usermod --append --groups docker {user}", f"and {user} has to log in anew after that"]


def _installation(names: Sequence[str]) -> list[str]:
    """The commands that install packages for the needs, by this machine's package manager."""
    if shutil.which(APT[0]):
        return ["apt-get update", shlex.join([*APT, *_packages(names)])]
    manager = next((name for name in MANAGERS if shutil.which(name)), "")
    known = {name: TOOLS[name].elsewhere.get(manager, "") for name in names}
    found = sorted({word for packages in known.values() for word in packages.split()})
    commands = [shlex.join([*MANAGERS[manager], *found])] if found else []
    if unknown := [name for name in names if not known[name]]:
        debian = " ".join(_packages(unknown))
        commands.append(f"install {', '.join(unknown)}; Debian has that in {debian}")
    return commands


def _packages(names: Iterable[str]) -> list[str]:
    """Debian's packages for the needs: of each choice the first that the archives have."""
    release = _release()
    wanted = [
        package
        for name in names
        for package in TOOLS[name].elsewhere.get(release, "").split() or TOOLS[name].packages
    ]
    choices = [package.split(" | ") for package in wanted]
    known = _known([each for choice in choices if len(choice) > 1 for each in choice[:-1]])
    chosen = {next((each for each in choice if each in known), choice[-1]) for choice in choices}
    return sorted(chosen - {"-"})


def _release() -> str:
    """The code name of the release of Ubuntu that this machine has or is made of."""
    try:
        return platform.freedesktop_os_release().get("UBUNTU_CODENAME", "")
    except OSError:
        return ""


def _known(packages: Sequence[str]) -> set[str]:
    """Those of the packages that are in an archive of this machine's."""
    if not packages or not shutil.which("apt-cache"):
        return set()
    shown = said("apt-cache", "show", *packages)
    return set(re.findall(r"^Package: (\S+)$", shown.stdout, re.MULTILINE))


@contextmanager
def _services_stay_down(policy: Path) -> Iterator[None]:
    """Keep packages from starting what they bring: a tool is wanted, not its service.

    Debian asks ``policy-rc.d`` (invoke-rc.d(8)); 101 forbids. One that is there already is the
    machine owner's, and decides.
    """
    if policy.exists():
        yield
        return
    policy.write_text(OWN_POLICY, encoding="ascii")
    policy.chmod(0o755)
    # Whoever removes what a killed run left sees by the lock that this one is not that.
    with policy.open() as file, also_when_ended(lambda: policy.unlink(missing_ok=True)):
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _remove_left_over(policy: Path) -> None:
    """Remove the rule of a run that was killed: no service would start at its installation."""
    with suppress(OSError), policy.open(encoding="utf-8", errors="replace") as file:
        if file.read(len(OWN_POLICY) + 1) == OWN_POLICY:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        return _engine_answers()

    def has_containers(self) -> bool:
        """Whether containers run on the engine; raises SlipwayError when it does not say."""
        return bool(
            run(
                ["docker", "ps", "--quiet"], what="list of containers", timeout=allowed(QUICK)
            ).strip()
        )

    def start(self, say: Callable[[str], None]) -> None:
        """Start the engine and wait until it answers.

        Raises SlipwayError with its last words when it does not, and when this user may not start
        one.
        """
        if os.geteuid() != 0:
            start = "systemctl enable --now docker" if SYSTEMD.is_dir() else "service docker start"
            what = f"no engine answers: {_ask_engine().stderr.strip()}"
            raise SlipwayError(Problem("Docker", what, _as_root(start)))
        say("starting the container engine")
        if SYSTEMD.is_dir():
            run(
                ["systemctl", "enable", "--now", "docker"],
                what="start of Docker",
                timeout=allowed(QUICK),
            )
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
                # Before it runs, so that it is known also if this run is killed now.
                preexec_fn=self._note,  # noqa: PLW1509 - a task has one thread
            )
        wait_until(lambda: self.answers() or process.poll() is not None, allowed(ENGINE_SECONDS))
        if not self.answers():
            last = last_lines(log.read_text(encoding="utf-8", errors="replace"))
            raise SlipwayError(Problem("dockerd", f"does not answer; it last said\n{last}"))

    def _note(self) -> None:
        """Note this process as the engine."""
        self._pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")

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


if __name__ == "__main__":
    print(refusal(missing(sys.argv[1:])))

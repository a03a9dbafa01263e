"""A machine that has nothing yet: this one, in name spaces and folders of its own.

It has what is installed here, the files of this checkout, and an engine without images; its user
has an empty home. It has no network, but for a link to this machine if it is given one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.checkout import PROJECT

HERE, THERE = "198.51.100.1", "198.51.100.2"
"""The two ends of a link (RFC 5737)."""

BURST, LATENCY = "256kb", "100ms"
"""How much a link takes at once, and how long it keeps what is too much (tc-tbf(8))."""

_BEGIN = """
mkdir --parents /var/lib/docker
mount --bind {root}/run /run
mount --bind {root}/docker /var/lib/docker
mount --bind {root}/tmp /tmp
cd {root}/checkout
"""

_KEPT_BACK = ("PIP_", "SLIPWAY_", "XDG_", "VIRTUAL_ENV", "ANSIBLE_", "MAKE", "MFLAGS")
"""What the names of variables begin with that this machine's user may have set up for himself."""


@dataclass
class BareMachine:
    """The machine, whose files are below ``root``; ``name`` is that of its network."""

    root: Path
    name: str = field(default_factory=lambda: f"bare{os.getpid()}")

    def run(self, script: str, environment: Mapping[str, str]) -> int:
        """Run a script of a shell there; what it has begun ends with it. Return its exit code."""
        # "ip netns exec" would hide the control groups that are mounted below /sys.
        argv = ["nsenter", f"--net=/run/netns/{self.name}"]
        argv += ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        argv += ["bash", "-eu", "-c", _BEGIN.format(root=self.root) + script]
        return subprocess.run(argv, env={**self._own(), **environment}, check=False).returncode

    def link(self, rate: str) -> None:
        """Have a link between HERE and THERE that brings so much, as ``100mbit``, and no more."""
        _ip("link", "add", self._end, "type", "veth", "peer", "eth0", "netns", self.name)
        _ip("address", "add", f"{HERE}/24", "dev", self._end)
        _ip("link", "set", self._end, "up")
        _ip("-netns", self.name, "address", "add", f"{THERE}/24", "dev", "eth0")
        _ip("-netns", self.name, "link", "set", "eth0", "up")
        shaped = ["tbf", "rate", rate, "burst", BURST, "latency", LATENCY]
        subprocess.run(["tc", "qdisc", "add", "dev", self._end, "root", *shaped], check=True)

    def received(self) -> int:
        """How many bytes have come over the link."""
        [told] = json.loads(_ip("-json", "-statistics", "link", "show", "dev", self._end))
        return int(told["stats64"]["tx"]["bytes"])

    @property
    def _end(self) -> str:
        """The name that this machine's end of the link has."""
        return self.name

    def _own(self) -> dict[str, str]:
        """The variables of its user."""
        own = {key: text for key, text in os.environ.items() if not key.startswith(_KEPT_BACK)}
        path = own["PATH"].split(os.pathsep)
        kept = (each for each in path if not Path(each).is_relative_to(PROJECT))
        return {**own, "PATH": os.pathsep.join(kept), "HOME": f"{self.root}/home"}


@contextmanager
def bare_machine(root: Path) -> Iterator[BareMachine]:
    """Make the machine below a folder, and have its network go in the end."""
    for name in ("home", "run", "docker", "tmp"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    _copy_checkout(root / "checkout")
    machine = BareMachine(root)
    _ip("netns", "add", machine.name)
    try:
        _ip("-netns", machine.name, "link", "set", "lo", "up")
        yield machine
    finally:
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "delete", machine.name)  # and the link with it


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _copy_checkout(target: Path) -> None:
    """Copy the files of this checkout that git knows, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if os.path.lexists(PROJECT / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name, follow_symlinks=False)

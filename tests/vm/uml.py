"""User Mode Linux: a kernel that is a process, and needs nothing of the processor or the kernel.

It is made of Debian's source and ``uml.config``, as Debian's own has one processor, and kubeadm
asks for two. In what computes, it is as quick as the machine itself; a new process takes ten times
as long.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import Problem, SlipwayError
from slipway.run import run
from tests.vm.disks import SUITE
from tests.vm.kept import kept
from tests.vm.machine import Start

CONFIG = Path(__file__).with_suffix(".config")

FETCH = f"""
sed --quiet "s/ {SUITE} main/ {SUITE}-backports main/p" /etc/apt/sources.list \\
  > /etc/apt/sources.list.d/backports.list
apt-get update
apt-get install --yes --no-install-recommends --target-release={SUITE}-backports linux-source
"""
"""More than one processor came to User Mode Linux with 6.19; the suite itself has an older one."""

TOOLS = ("c_compiler", "kernel_compiler", "mmdebstrap")


@dataclass(frozen=True)
class Change:
    """What takes the place of a text that a file of the kernel's source has once."""

    path: str
    old: str
    new: str

    def make(self, tree: Path) -> None:
        """Write it; raises SlipwayError when the source is not as it is taken to be."""
        source = (tree / self.path).read_text(encoding="utf-8")
        if source.count(self.old) != 1:
            raise SlipwayError(Problem(self.path, f"has no, or several, {self.old.strip()!r}"))
        (tree / self.path).write_text(source.replace(self.old, self.new), encoding="utf-8")


_MODEL = '\tseq_printf(m, "model name\\t: UML\\n");\n'
CLOCK = Change(
    "arch/um/kernel/um_arch.c",
    _MODEL,
    _MODEL + '\tseq_printf(m, "cpu MHz\\t\\t: 1000.000\\n");\n',
)
"""A clock to tell of, without which no kubelet starts."""

ONE_AT_A_TIME = Change(
    "arch/um/kernel/irq.c",
    "\tpreempt_disable();\n\t_sigio_handler(regs, irqs_suspended);\n",
    """\
	static atomic_t asked = ATOMIC_INIT(0);
	int seen;

	preempt_disable();
	if (atomic_inc_return(&asked) == 1)
		do {
			seen = atomic_read(&asked);
			_sigio_handler(regs, irqs_suspended);
		} while (atomic_sub_return(seen, &asked));
""",
)
"""Whatever device has something to say, one processor at a time listens.

The list of who has is the same one for all processors, and each is told once: of two at a time, one
takes what the other one was told of, and a disk or a network stands still for ever.
"""

CHANGES = (CLOCK, ONE_AT_A_TIME)

COMPILE_SECONDS = 3600.0


class Uml:
    """Runs a machine by a kernel that is a process."""

    factor = 5

    def __init__(self, kernel: Path) -> None:
        self._kernel = kernel

    @classmethod
    def made(cls, folder: Path, say: Callable[[str], None]) -> Uml:
        """With the kernel that is kept below ``folder``, and compiled if there is none."""
        with kept(folder, "uml", FETCH, CONFIG, *map(repr, CHANGES)) as (target, unfinished):
            if unfinished is not None:
                _compile(unfinished, say)
        return cls(target / "linux")

    def plug(self, port: str) -> Sequence[Sequence[str]]:
        """The ends of a cable: of the ways to a network this one works with two processors."""
        end = _end(port)
        return [
            ["link", "add", end, "type", "veth", "peer", port],
            ["link", "set", end, "addrgenmode", "none", "up"],
        ]

    def argv(self, start: Start) -> Sequence[str]:
        """The program that is the machine, in a name space that ends with it."""
        disks = [
            f"ubd{number}={start.folder}/disk{number},{disk}"
            for number, disk in enumerate(start.disks.disks)
        ]
        nic = start.nic
        network = f"vec0:transport=raw,ifname={_end(nic.port)},mac={nic.mac},depth=128,gro=1"
        return [
            *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *(str(self._kernel), f"ncpus={start.processors}", f"mem={start.memory}M"),
            *("seccomp=on", "con=null", "con0=null,fd:1", "console=tty0"),
            # What it writes is forgotten: nobody has to wait until it is on the disk.
            *("root=/dev/ubda", "rootflags=nobarrier", *disks, network, nic.ip("vec0")),
            *start.parameters,
        ]


def _end(port: str) -> str:
    """The other end of the cable at a port."""
    return f"at-{port}"


def _compile(place: Path, say: Callable[[str], None]) -> None:
    """Fetch the source and compile it; ``linux`` is what comes of it."""
    say("fetching the kernel's source (160 MB)")
    root, tree = place / "root", place / "source"
    argv = ["mmdebstrap", "--mode=root", "--variant=apt"]
    argv += [f"--customize-hook=chroot \"$1\" sh -euc '{FETCH}'"]
    run([*argv, SUITE, root], what="the kernel's source")
    (packed,) = (root / "usr/src").glob("linux-source-*.tar.xz")
    tree.mkdir()
    run(["tar", "-x", "--strip-components=1", "-C", tree, "-f", packed], what="the kernel's source")
    for change in CHANGES:
        change.make(tree)
    say("compiling the kernel (ten minutes)")
    make = ["make", "--silent", "ARCH=um", f"--jobs={os.cpu_count()}"]
    commands: list[list[str | Path]] = [
        [*make, "defconfig"],
        ["scripts/kconfig/merge_config.sh", "-m", ".config", CONFIG],
        [*make, "olddefconfig"],
        [*make, "linux"],
    ]
    for command in commands:
        run(command, what="the kernel", cwd=tree, timeout=COMPILE_SECONDS, env={"ARCH": "um"})
    (tree / "linux").rename(place / "linux")
    for leftover in (root, tree):
        shutil.rmtree(leftover)

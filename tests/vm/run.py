"""Have a cluster made, used and removed on virtual machines with control groups of version 2.

The machines are made by this: see the README beside this file.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from slipway.control_node import tools
from slipway.errors import SlipwayError
from slipway.waiting import Patience
from tests.support.checkout import cache_folder
from tests.vm import disks, lab, qemu, single, uml
from tests.vm.machine import Hypervisor
from tests.vm.steps import say

TOOLS = ("mke2fs", "mmdebstrap", "ssh")

PROOFS = {"single": single.prove, "lab": lab.prove}


def main() -> int:
    """Make the machines and use them; the exit code is 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("proof", nargs="?", choices=PROOFS, default="single")
    parser.add_argument("--keep", action="store_true", help="keep the machines until Ctrl-C")
    given = parser.parse_args()
    cache = cache_folder()
    try:
        tools.have(TOOLS, say)
        hypervisor = hypervisor_of(cache)
        Patience.factor = hypervisor.factor
        PROOFS[given.proof](cache, hypervisor, keep=given.keep)
    except SlipwayError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    say("all as it should be")
    return 0


def hypervisor_of(cache: Path) -> Hypervisor:
    """What runs machines here."""
    if qemu.can_run():
        tools.have(qemu.TOOLS, say)
        return qemu.Qemu()
    tools.have(uml.TOOLS, say)
    return uml.Uml.made(disks.folder_of(cache), say)


if __name__ == "__main__":
    # Whoever ends this ends the machines, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())

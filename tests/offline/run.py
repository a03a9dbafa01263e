"""Have the samples served on a machine without any network, by an archive of the bundle."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from slipway.files import link_or_copy
from tests.support.bare_machines import bare_machine
from tests.support.checkout import PROJECT, cache_folder

USED = """
test "$(ip -brief link | grep --count --invert-match '^lo ')" = 0
begun=$(date +%s)
make up
echo "from nothing to all addresses answered: $(( $(date +%s) - begun )) s"
begun=$(date +%s)
SLIPWAY_BUNDLE= make up
echo "a run that changes nothing, and no archive named: $(( $(date +%s) - begun )) s"
make down
"""
"""What its user does, once there is no way out."""


def main() -> int:
    """Make the machine and use it; the exit code is that of its user's last command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, help="one that was made before")
    given = parser.parse_args()
    work = cache_folder() / "work"
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="offline-", dir=work) as folder:
        archive = Path(folder, "slipway.tar.zst")
        if given.archive:
            link_or_copy(given.archive, archive)  # of other folders it may have its own
        else:
            write(archive)
        print(f"the archive has {archive.stat().st_size / 1e6:,.0f} MB", flush=True)
        with bare_machine(Path(folder)) as machine:
            return machine.run(USED, {"SLIPWAY_BUNDLE": str(archive)})


def write(archive: Path) -> None:
    """Have an archive written for it."""
    begun = time.monotonic()
    subprocess.run(["make", "bundle", f"OUT={archive}"], cwd=PROJECT, check=True)
    print(f"the archive is written: {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())

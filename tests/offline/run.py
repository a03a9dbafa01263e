"""Have the samples served on a machine without any network, by an archive of the bundle.

The machine is this one in name spaces of its own: it has no interface but its loopback, an engine
without images, and a home without a cache. What it has is Docker, git, Python, the files of the
checkout, and the archive.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.checkout import PROJECT, cache_folder

MACHINE = """
mkdir --parents /var/lib/docker
mount --bind {root}/run /run
mount --bind {root}/docker /var/lib/docker
mount --bind {root}/tmp /tmp
ip link set lo up
cd {root}/checkout
"""
"""What makes it of this machine, in name spaces that it has for itself."""

USED = """
! python3 -c 'import socket; socket.create_connection(("192.0.2.1", 80), 3)' 2>/dev/null
begun=$(date +%s)
make up
echo "from nothing to all addresses answered: $(( $(date +%s) - begun )) s"
begun=$(date +%s)
make up ARGS='-e bundle_provider=auto' SLIPWAY_BUNDLE=
echo "a run that changes nothing, and no archive named: $(( $(date +%s) - begun )) s"
make down
"""
"""What its user does."""

KEPT_BACK = ("PIP_", "SLIPWAY_", "XDG_", "VIRTUAL_ENV", "ANSIBLE_", "MAKE", "MFLAGS")
"""What the names of variables begin with that this machine's user may have set up for himself."""


def main() -> int:
    """Make the machine and use it; the exit code is that of its user's last command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, help="one that was made before")
    given = parser.parse_args()
    work = cache_folder() / "work"
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="offline-", dir=work) as folder:
        root = Path(folder)
        archive = given.archive or root / "slipway.tar.zst"
        if not given.archive:
            with _timed("the archive is written"):
                subprocess.run(["make", "bundle", f"OUT={archive}"], cwd=PROJECT, check=True)
        print(f"the archive has {archive.stat().st_size / 1e6:,.0f} MB", flush=True)
        _copy_checkout(root / "checkout")
        for name in ("home", "run", "docker", "tmp"):
            (root / name).mkdir()
        (root / "tmp").chmod(0o1777)
        return _run(MACHINE.format(root=root) + USED, _environment(root, archive.resolve()))


def _run(script: str, environment: Mapping[str, str]) -> int:
    """Run a script on a machine that ends with it, and all that it has begun."""
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv = [*apart, "bash", "-eu", "-c", script]
    return subprocess.run(argv, env=environment, check=False).returncode


def _environment(root: Path, archive: Path) -> dict[str, str]:
    """The variables of its user."""
    own = {key: text for key, text in os.environ.items() if not key.startswith(KEPT_BACK)}
    path = os.pathsep.join(
        each for each in own["PATH"].split(os.pathsep) if not each.startswith(str(PROJECT))
    )
    return {**own, "PATH": path, "HOME": f"{root}/home", "SLIPWAY_BUNDLE": str(archive)}


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
        if (PROJECT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())

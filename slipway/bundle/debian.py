"""Root file systems made of Debian packages, by mmdebstrap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slipway.run import run

RECIPE = 1
"""Raised when the way of making them changes."""

_EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*/*",  # the directories stay: alternatives put links there
)


def make_rootfs(
    suite: str, variant: str, packages: Sequence[str], target: Path, keys: Path
) -> dict[str, str]:
    """Write the tar file ``target`` with ``packages``; return each package's version.

    ``variant`` is mmdebstrap's: ``extract`` unpacks only what is named and needed, without
    running maintainer scripts; ``essential`` and ``minbase`` are configured systems.
    Besides the keys that the machine's package manager trusts, those in the file ``keys`` are
    Debian's: other distributions have none of them, or older ones.
    """
    listing = target.with_suffix(".packages")
    if variant == "extract":
        when, ask = "extract", 'ls "$1/var/cache/apt/archives"'
    else:
        query = 'dpkg-query --admindir="$1/var/lib/dpkg" --show'
        when, ask = "customize", f"{query} --showformat='${{Package}}_${{Version}}\\n'"
    # For who is not root, what asks is root of a name space, who may not write here.
    hooks = (f'{ask} > "$1/packages"', f'download /packages "{listing}"', 'rm "$1/packages"')
    argv = [
        "mmdebstrap",
        f"--variant={variant}",
        f"--include={','.join(packages)}",
        "--aptopt=Apt::Install-Recommends false",
        f"--keyring={keys}",
        "--skip=check/signed-by",  # a keyring of the machine's, in place of all others
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *(f"--{when}-hook={hook}" for hook in hooks),
        suite,
        str(target),
    ]
    run(argv, what=f"packages of {target.stem}", env={"SOURCE_DATE_EPOCH": "0"})
    entries = [line.removesuffix(".deb").split("_") for line in listing.read_text().splitlines()]
    listing.unlink()
    return {entry[0]: entry[1].replace("%3a", ":") for entry in entries if len(entry) > 1}

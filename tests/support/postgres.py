"""What stands for the official image of PostgreSQL where Docker Hub is not reached.

It is of Debian's packages, over an image of the bundle, and heeds those variables of the official
one that an example names.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.architecture import Architecture
from slipway.bundle import debian
from slipway.bundle.keys import key_of
from slipway.oci import Image, ImageConfig, ImageStore, Layer, TreeEntry, layer_from_tree
from tests.support import shelves
from tests.support.checkout import PROJECT, VERSIONS
from tests.support.oci_samples import Layout
from tests.support.scenario import Scenario

NAME, TAG = "library/postgres", "17"
"""What it is called at Docker Hub."""

PACKAGES = [f"postgresql-{TAG}"]
PROGRAMS = f"/usr/lib/postgresql/{TAG}/bin"
NEEDED = (
    f"usr/lib/postgresql/{TAG}/bin/",
    f"usr/lib/postgresql/{TAG}/lib/",
    "usr/share/postgresql/",
)
TOO_LARGE = ("libLLVM", "libz3", "bitcode")
"""What only compiles queries, which PostgreSQL does without where it is not there."""

USER = 999
"""Who the official image runs as."""

ENTRY = b"""\
#!/bin/sh
# A new database has its user, its password and a database; an old one is served as it is.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    printf %s "$POSTGRES_PASSWORD" >/tmp/password
    initdb -U "$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 --auth-local=trust
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl start --wait --options="-c listen_addresses=''"
    createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl stop --wait
fi
exec postgres -c listen_addresses='*'
"""


def image_of(scenario: Scenario) -> tuple[Layout, bytes]:
    """The image, and its index; what is of Debian is fetched once, and stays in the cache."""
    bundle = ImageStore(scenario.bundle / "images")
    [base] = bundle.require([f"bundle.slipway.internal/python:{VERSIONS['python']}"])
    key = key_of(debian.RECIPE, VERSIONS["debian"], PACKAGES, base.manifest_digest)
    store = ImageStore(scenario.cache / f"postgres-{key[:16]}")
    ref, packages, own = (f"docker.io/{NAME}{part}:{TAG}" for part in ("", "-packages", "-own"))
    config = ImageConfig(
        entrypoint=["/usr/local/bin/postgres-entry"],
        env={
            "PATH": f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PGDATA": "/var/lib/postgresql/data",
        },
        ports=[5432],
    )
    if store.get(packages) is None:
        with TemporaryDirectory() as folder:
            there = {*_names_in(bundle, base)}
            store.add_image(packages, [_unpacked(Path(folder), there)], config)
    store.add_image(own, [layer_from_tree(_own())], config)
    above = [(store, image) for image in store.require([packages, own])]
    store.add_stacked(ref, [(bundle, base), *above], config)
    return shelves.layout_of(store, ref, StopSignal="SIGINT")


def _names_in(store: ImageStore, image: Image) -> Iterator[str]:
    """Every place in an image."""
    for layer in image.layers:
        with store.open_layer(layer) as tar:
            yield from (member.name.removeprefix("./") for member in tar)


def _unpacked(folder: Path, there: set[str]) -> Layer:
    """PostgreSQL, and what it loads that is not ``there``: that belongs to its own loader."""
    rootfs, root = folder / "postgres.tar", folder / "root"
    keys = PROJECT / "images" / f"debian-{VERSIONS['debian']}.asc"
    archive = debian.Archive(VERSIONS["debian"], Architecture.here(), keys)
    debian.make_rootfs(archive, "extract", PACKAGES, rootfs)

    def is_wanted(name: str) -> bool:
        if any(each in name for each in TOO_LARGE):
            return False
        is_library = name.startswith("usr/lib/") and name.count("/") == 3 and ".so" in name
        return name.startswith(NEEDED) or (is_library and name not in there)

    with tarfile.open(rootfs) as tar:
        wanted = [each for each in tar if is_wanted(each.name.removeprefix("./"))]
        tar.extractall(root, wanted, filter="tar")
    return layer_from_tree(root)


def _own() -> dict[str, TreeEntry]:
    """What the official image has beside the program."""
    users = f"root:x:0:0::/root:/bin/sh\npostgres:x:{USER}:{USER}::/var/lib/postgresql:/bin/sh\n"
    return {
        "/etc/passwd": TreeEntry(users.encode()),
        "/run/postgresql": TreeEntry(None, mode=0o3777, owner=USER),
        "/usr/local/bin/postgres-entry": TreeEntry(ENTRY, mode=0o755),
    }

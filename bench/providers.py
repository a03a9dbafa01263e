"""What a first run waits for: the download of each provider of bundles, and then the first page.

A mirror on this machine has an archive, and what upstream publishes, under upstream's paths; of the
latter it has what this machine's bundle has, at sums of its own. A machine that has nothing yet is
this one in name spaces of its own. Between both is a link of 100 Mbit/s, and no other way out: what
is made of Debian's packages or compiled is no part of the download of upstream's.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from bench import mirrors
from bench.figures import Figure, Report, Target, Unit
from bench.runs import PROJECT
from slipway.architecture import Architecture
from slipway.bundle import upstream_lock
from slipway.bundle.provider import ensure
from slipway.bundle.source import SourceProvider, places_of
from slipway.cache.layout import CacheLayout
from tests.support.bare_machines import HERE, BareMachine, bare_machine
from tests.support.checkout import VERSIONS, cache_folder

RATE = "100mbit"

FIRST_PAGE = Target(most=120)
"""Seconds from nothing cached to all addresses answered."""

ARCHIVE = "/slipway.tar.zst"

NOTES = (
    "Of upstream, what is compiled or packed of Debian's packages is not in these figures, and "
    "layers are not compressed, as they are at upstream itself.",
    "kind was not compared: the image of its nodes is in a registry alone.",
)


def measure(*, keep: bool) -> Report:
    """Write an archive, serve it and what upstream has, and use both from nothing.

    Nothing can be kept: what the machine has begun ends with it.
    """
    cache = CacheLayout(cache_folder())
    cache.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=cache.work) as folder:
        root = Path(folder)
        archive = root / "archive.tar.zst"
        subprocess.run(["make", "bundle", f"OUT={archive}"], cwd=PROJECT, check=True)
        mirror = mirrors.Mirror(root / "mirror", {ARCHIVE: archive})
        mirror.folder.mkdir()
        with bare_machine(root) as machine, mirrors.served(mirror, root) as port:
            hosts = _fill(mirror, root / "checkout", cache)
            machine.link(RATE)
            url = f"https://{HERE}:{port}"
            return Report(
                [*_upstream(machine, url, hosts), *_archive(machine, f"{url}{ARCHIVE}")], NOTES
            )


def _fill(mirror: mirrors.Mirror, checkout: Path, cache: CacheLayout) -> list[str]:
    """Have what upstream has at the mirror, and a checkout locked to it; upstream's hosts."""
    source = SourceProvider(PROJECT, VERSIONS, cache, Architecture.here())
    places = {each.name: places_of(each) for each in source.components}
    lock = upstream_lock.read(PROJECT / "bundle" / "upstream.yml", places, VERSIONS)
    document = mirrors.filled(mirror, lock, source, ensure(source, cache, print).path)
    (checkout / "bundle" / "upstream.yml").write_text(yaml.safe_dump(document))
    files = (each["url"] for files in document["files"].values() for each in files)
    images = (image.partition("/")[0] for image in document["images"])
    return sorted({*(urlsplit(url).netloc for url in files), *images})


def _upstream(machine: BareMachine, url: str, hosts: Sequence[str]) -> list[Figure]:
    """What comes of upstream's files and images, into an empty cache."""
    given = {host: {"url": url, "ca": str(machine.root / "server.crt")} for host in hosts}
    argv = [sys.executable, "-m", "bench.download", json.dumps(given), f"{machine.root}/checkout"]
    script = f"cd {PROJECT}; {shlex.join(argv)} {machine.root}/upstream"
    seconds, size = _timed(machine, script, {"PYTHONPATH": str(PROJECT)})
    return [
        Figure("upstream's files and images: downloaded", size, Unit.BYTES),
        Figure(f"upstream's files and images: with {RATE}", seconds),
        Figure(
            "upstream's files and images: in the cache",
            _size(machine.root / "upstream"),
            Unit.BYTES,
        ),
    ]


def _archive(machine: BareMachine, address: str) -> list[Figure]:
    """What a user waits for who has an archive's address and nothing else."""
    environment = {"SLIPWAY_BUNDLE": address, "SSL_CERT_FILE": str(machine.root / "server.crt")}
    seconds, size = _timed(machine, "make up", environment)
    cache = machine.root / "home" / ".cache" / "slipway"
    return [
        Figure("archive: downloaded", size, Unit.BYTES),
        Figure(
            f"archive: from nothing to all addresses answered, with {RATE}",
            seconds,
            target=FIRST_PAGE,
        ),
        Figure("archive: in the cache", _size(cache), Unit.BYTES),
    ]


def _timed(machine: BareMachine, script: str, environment: Mapping[str, str]) -> tuple[float, int]:
    """How long a script takes there, and what comes over the link meanwhile."""
    received, begun = machine.received(), time.monotonic()
    if code := machine.run(script, environment):
        raise SystemExit(f"{script} failed with {code}")
    return time.monotonic() - begun, machine.received() - received


def _size(folder: Path) -> int:
    """How much room a folder takes, of which a file with several names takes it once."""
    states = {(state := path.lstat()).st_ino: state for path in folder.rglob("*")}
    return sum(state.st_blocks * 512 for state in states.values())

"""Archives on a disk that is full, and on a machine that no network reaches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bundles import FILES, Maker
from tests.support.checkout import PROJECT
from tests.support.file_servers import served
from tests.support.made import python

IMPORTS = """
import shutil
from pathlib import Path
from types import SimpleNamespace
from slipway.bundle import manifest
from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.provider import ensure
from slipway.errors import SlipwayError
from tests.support.bundles import lock
from tests.support.file_servers import served

def run(place, cache):
    provider = ArchiveProvider(lock(Path(cache)), str(place), say=print)
    try:
        print(ensure(provider, provider.cache, print).path.name)
        provider.note()
    except SlipwayError as error:
        print(error)
"""

BUNDLE = "0123456789abcdef"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """One that takes 4 MB, and as many again when it is unpacked."""
    return Maker(tmp_path / "made")({**FILES, "bin/large": os.urandom(4_000_000)})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of whoever runs."""
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_no_network_is_needed(archive: Path, cache: Path) -> None:
    alone = 'test -z "$(ip -4 route)$(ip -4 -brief address show up)"'
    assert python(IMPORTS, f"run({str(archive)!r}, {str(cache)!r})", alone) == [BUNDLE]
    assert (cache / "bundle" / BUNDLE / "bin" / "large").stat().st_size == 4_000_000


def test_nor_is_one_for_what_is_known_of_an_address(archive: Path, cache: Path) -> None:
    with served(archive.read_bytes()) as file:
        program = f"{IMPORTS}\nrun({file.url!r}, {str(cache)!r})"
        env = {**os.environ, "PYTHONPATH": str(PROJECT)}
        subprocess.run([sys.executable, "-c", program], env=env, check=True)
    assert python(IMPORTS, f"run({file.url!r}, {str(cache)!r})") == [BUNDLE]
    other = python(IMPORTS, f"run('https://127.0.0.1:1/other', {str(cache)!r})")
    assert "https://127.0.0.1:1/other: Network is unreachable" in other


DISK = """
ip link set lo up
mount -t tmpfs -o size=16m none {cache}
head -c {filled} /dev/zero > {cache}/filler
"""

FULL = """
with served(Path({archive!r}).read_bytes()) as file:
    known = shutil.disk_usage
    shutil.disk_usage = {asked}
    run(file.url, {cache!r})
    shutil.disk_usage = known
    folders = Path({cache!r}, "bundle").iterdir()
    print([path.name for path in folders if path.is_dir()])
    Path({cache!r}, "filler").unlink()
    run(file.url, {cache!r})
    print(file.begun_at[-1])
"""


@pytest.mark.parametrize(
    ("filled", "asked", "said", "begun_at"),
    [
        (13_000_000, "known", "free; it takes", ""),
        (14_000_000, "lambda _: SimpleNamespace(free=1 << 40)", "which stay", "bytes="),
        (10_000_000, "lambda _: SimpleNamespace(free=1 << 40)", "half unpacked", ""),
    ],
)
def test_on_a_full_disk_nothing_is_half_there_and_the_next_run_goes_on(
    filled: int, asked: str, said: str, begun_at: str, archive: Path, cache: Path
) -> None:
    prepare = DISK.format(cache=cache, filled=filled)
    code = FULL.format(archive=str(archive), asked=asked, cache=str(cache))
    lines = python(IMPORTS, code, prepare)
    failure = next(line for line in lines if said in line)
    assert failure.startswith(str(cache))
    assert "[]" in lines, "what bundles are there"
    assert lines[-2] == BUNDLE
    assert lines[-1].startswith(begun_at)
    assert (lines[-1] == "") == (begun_at == "")

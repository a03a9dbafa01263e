"""The search that proves that no secret leaks finds one that does."""

from __future__ import annotations

import base64
import gzip
import io
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from slipway.waiting import wait_until
from tests.support.leaks import Canaries, ProcessWatch, written_since

VALUE = "canary-Va1ue/with=signs"
KEY = "-----BEGIN KEY-----\nbeginning-of-any\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END KEY-----\n"
CANARIES = Canaries({"token": VALUE, "key": KEY})


def tarred(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("a/file")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/file", content)
    return out.getvalue()


PLAIN = f"before {VALUE} after".encode()


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        b"canary-Va1ue%2Fwith%3Dsigns",
        base64.b64encode(VALUE.encode()),
        base64.b64encode(f"x:{VALUE}".encode()),
        base64.b64encode(f"user:{VALUE}\n".encode()),
        gzip.compress(PLAIN),
        gzip.compress(tarred(PLAIN)),
        tarred(gzip.compress(tarred(PLAIN))),
        tarred(zipped(PLAIN)),
        zlib.compress(PLAIN),
    ],
)
def test_a_secret_is_found_however_it_is_packed(data: bytes) -> None:
    assert CANARIES.within(data) == {"token"}


def test_one_line_of_a_key_is_enough_and_other_text_is_nothing() -> None:
    assert CANARIES.within(b"x b3BlbnNzaC1rZXktdjEAAAAA x") == {"key"}
    assert CANARIES.within(b"-----BEGIN KEY-----\nbeginning-of-any\n canary-Va1ue") == set()


def test_files_of_the_run_are_searched(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(PLAIN)
    time.sleep(0.02)
    moment = time.time()
    time.sleep(0.02)
    for name in ("new", "own/file"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PLAIN)
    files = written_since(moment, tmp_path, without=[tmp_path / "own"])
    assert CANARIES.within_files(files) == {str(tmp_path / "new"): {"token"}}


def test_processes_that_show_a_secret_are_seen() -> None:
    wait = "import sys; sys.stdin.read()"
    with ProcessWatch(CANARIES) as watch:
        shown = [
            subprocess.Popen([sys.executable, "-c", wait, VALUE], stdin=subprocess.PIPE),
            subprocess.Popen([sys.executable, "-c", wait], stdin=subprocess.PIPE, env={"KEY": KEY}),
        ]
        wait_until(lambda: len(watch.seen) == 2, 10)
        for process in shown:
            process.communicate()
    assert {(place, name) for place, name, _ in watch.seen} == {
        ("cmdline", "token"),
        ("environ", "key"),
    }


def test_of_a_file_with_holes_what_was_written_is_searched(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 35)
        file.write(PLAIN)
    assert CANARIES.within_files([path]) == {str(path): {"token"}}

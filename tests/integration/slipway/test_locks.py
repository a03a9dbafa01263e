"""Locks that another process holds."""

from __future__ import annotations

import fcntl
import getpass
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway import locks
from slipway.errors import SlipwayError
from slipway.locks import News, Process, locked
from slipway.waiting import wait_until
from tests.support.checkout import PROJECT

HOLDS = """
import sys, time
from pathlib import Path
from slipway.locks import locked
with locked(Path(sys.argv[1]), "it", int(sys.argv[2])):
    Path(sys.argv[1] + ".held").touch()
    time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the run says."""
    lines: list[str] = []
    monkeypatch.setattr(News, "say", lines.append)
    return lines


@contextmanager
def held(file: Path, seconds: float, kind: int = fcntl.LOCK_EX) -> Iterator[int]:
    """A process that has the lock, for some seconds; gives its number."""
    arguments = [str(file), str(kind), str(seconds), "site.yml", "password=of-nobody-else"]
    process = subprocess.Popen([sys.executable, "-c", HOLDS, *arguments], cwd=PROJECT)
    try:
        assert wait_until(Path(f"{file}.held").exists, 20)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_who_waits_longer_than_two_seconds_is_told_for_whom(
    tmp_path: Path, said: list[str], kind: int
) -> None:
    lock = tmp_path / "lock"
    with held(lock, 4, kind) as pid, locked(lock, "the bundle"):
        pass
    (line,) = said
    assert line.startswith("waiting for the bundle, in use by ")
    assert f"site.yml of {getpass.getuser()} (process {pid}, since 20" in line
    assert "of-nobody-else" not in line


def test_a_short_wait_is_nobody_s_news(tmp_path: Path, said: list[str]) -> None:
    with held(tmp_path / "lock", 0.5), locked(tmp_path / "lock", "the bundle"):
        pass
    assert said == []


def test_a_wait_has_an_end(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LONGEST", 0.3)
    with (
        held(tmp_path / "lock", 60) as pid,
        pytest.raises(SlipwayError, match=rf"the bundle: is still in use by .*process {pid},"),
        locked(tmp_path / "lock", "the bundle"),
    ):
        pass
    assert said == []


def test_a_process_that_has_ended_is_known_by_its_number() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert str(Process.of(process.pid)) == f"process {process.pid}"

"""A session's folder, and the runs that follow one another in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.dev.__main__ import INTERRUPTED, LATER, TERMINATED, main
from slipway.dev_session import Session, new_session
from slipway.waiting import wait_until
from tests.support.checkout import PROJECT

RUN = """
import json, os, sys
from pathlib import Path

log, steps, *given = sys.argv[1:]
before = Path(log).read_text().splitlines() if Path(log).exists() else []
session = Path(json.loads(given[-1])["slipway_session_dir"])
life = os.open(session / "life", os.O_RDONLY | os.O_NONBLOCK)
try:
    held = os.read(life, 1) != b""
except BlockingIOError:
    held = True
about = {"given": given, "held": held}
with open(log, "a") as out:
    print(json.dumps(about), file=out)
takes, code = json.loads(steps)[len(before)]
if takes:
    (session / "taken.json").write_text(json.dumps({"run": len(before)}))
sys.exit(code)
"""
"""A run: of its steps, the next says whether it takes something up, and its exit code."""

INTERRUPTIBLE = """
import json, signal, sys, time
from pathlib import Path

def tidy_up(number, frame):
    time.sleep(0.8)
    Path("tidy").touch()
    sys.exit(99)

signal.signal(signal.SIGINT, tidy_up)
folder = json.loads(sys.argv[-1])["slipway_session_dir"]
Path("new").write_text(folder)
Path("new").rename("begun")
time.sleep(60)
"""


def test_the_folder_is_there_as_long_as_the_session() -> None:
    with new_session() as session:
        assert session.folder.is_dir()
        assert session.life.is_fifo()
    assert not session.folder.exists()


def test_what_the_session_holds_open_is_closed_when_it_is_killed(tmp_path: Path) -> None:
    program = f"""
import os, signal
from slipway.dev_session import new_session
with new_session() as session:
    os.link(session.life, {str(tmp_path / "life")!r})
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False, env={"PYTHONPATH": str(PROJECT)})
    life = os.open(tmp_path / "life", os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(life, 1) == b""
    os.close(life)


def test_the_folder_goes_when_the_session_fails() -> None:
    with pytest.raises(KeyboardInterrupt), new_session() as session:
        session.take({"heads": {}})
        raise KeyboardInterrupt
    assert not session.folder.exists()


def test_sessions_have_nothing_in_common() -> None:
    with new_session() as one, new_session() as two:
        one.take({"heads": {}})
        assert two.taken() is None


def test_a_run_knows_what_the_one_before_it_took_up() -> None:
    with new_session() as session:
        assert session.taken() is None
        assert session.heads == {}
        for head in ("1", "2"):
            found = {"file": head, "heads": {"/web": {"main": head}}}
            session.take(found)
            another = Session(session.folder)
            assert another.taken() == found
            assert another.heads == {"/web": {"main": head}}
        assert {file.name for file in session.folder.iterdir()} == {"life", "taken.json"}


class Runs:
    """Has ``main`` repeat a run, and reads what the runs were given."""

    def __init__(self, folder: Path) -> None:
        self._script, self._log = folder / "run.py", folder / "log"
        self._script.write_text(RUN)

    def main(self, *steps: tuple[bool, int]) -> int:
        """The exit code of all runs."""
        command = [sys.executable, str(self._script), str(self._log), json.dumps(steps), "play.yml"]
        return main(command)

    @property
    def done(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_runs_follow_one_another_while_they_take_something_up(runs: Runs) -> None:
    assert runs.main((True, 0), (True, 2), (True, 0), (False, 4)) == 4
    extras = {each["given"][-1] for each in runs.done}
    assert len(runs.done) == 4
    assert len(extras) == 1
    assert not Path(json.loads(extras.pop())["slipway_session_dir"]).exists()
    assert all(each["held"] for each in runs.done)


def test_a_first_run_that_cannot_begin_ends_the_session(runs: Runs) -> None:
    assert runs.main((False, 3)) == 3
    assert len(runs.done) == 1


def test_a_first_run_that_fails_with_what_it_took_up_does_not(runs: Runs) -> None:
    assert runs.main((True, 2), (False, 5)) == 5


def test_only_the_first_run_validates_the_arguments_of_roles(runs: Runs) -> None:
    runs.main((True, 0), (True, 0), (False, 1))
    given = [each["given"][:-1] for each in runs.done]
    later = ["play.yml", *LATER, "--extra-vars"]
    assert given == [["play.yml", "--extra-vars"], later, later]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Programs that are started can be interrupted, also where a shell has these tests not be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(session: int) -> None:
    """As a terminal does: the run gets it, too."""
    os.killpg(session, signal.SIGINT)


def terminate(session: int) -> None:
    os.kill(session, signal.SIGTERM)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("end", "code"), [(interrupt, INTERRUPTED), (terminate, TERMINATED)])
def test_a_signal_ends_the_run_and_then_the_session(
    tmp_path: Path, end: Callable[[int], None], code: int
) -> None:
    (tmp_path / "run.py").write_text(INTERRUPTIBLE)
    begun = tmp_path / "begun"
    with subprocess.Popen(
        [sys.executable, "-m", "slipway.dev", sys.executable, "run.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        start_new_session=True,
    ) as session:
        try:
            assert wait_until(begun.exists, 20)
            assert Path(begun.read_text()).is_dir()
            end(session.pid)
            assert session.wait(20) == code
        finally:
            session.kill()
    assert (tmp_path / "tidy").exists()
    assert not Path(begun.read_text()).exists()


def test_a_run_that_ends_well_and_took_nothing_up_is_the_last(runs: Runs) -> None:
    assert runs.main((False, 0), (False, 1)) == 0
    assert len(runs.done) == 1

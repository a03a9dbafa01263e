"""Running tools, and errors with all their problems."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.errors import SlipwayError
from slipway.interrupts import watched_signals
from slipway.run import run, running, said
from slipway.waiting import wait_until
from tests.support.checkout import PROJECT


def sh(script: str, **options: object) -> str:
    """Run a shell script as the step "build of greeter"."""
    return run(["sh", "-c", script], what="build of greeter", **options)  # type: ignore[arg-type]


def failure(script: str, **options: object) -> str:
    """The message of a script that fails."""
    with pytest.raises(SlipwayError) as caught:
        sh(script, **options)
    return str(caught.value)


def test_it_returns_what_the_tool_prints(tmp_path: Path) -> None:
    assert sh("echo out; echo err >&2") == "out\n"
    assert sh("pwd", cwd=tmp_path) == f"{tmp_path}\n"
    assert sh("cat", stdin=b"in") == "in"


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    assert sh(r"printf '\377'") == "\N{REPLACEMENT CHARACTER}"


def test_the_environment_is_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIRS", "kept")
    assert sh('echo "$THEIRS $OURS"', env={"OURS": "added"}) == "kept added\n"


@pytest.fixture
def typed() -> Iterator[None]:
    """A terminal at which somebody has typed."""
    ours, theirs = os.pipe()
    os.write(theirs, b"typed\n")
    before = os.dup(0)
    os.dup2(ours, 0)
    yield
    os.dup2(before, 0)
    for end in (ours, theirs, before):
        os.close(end)


@pytest.mark.usefixtures("typed")
def test_a_tool_that_asks_gets_no_answer() -> None:
    assert sh("read -r line || echo nothing to read") == "nothing to read\n"


def test_a_failure_names_the_step_the_code_and_the_last_words() -> None:
    message = failure("echo compiling; echo 'no such symbol' >&2; exit 3", fix="mend it")
    assert message.splitlines() == [
        "build of greeter: sh ended with code 3; it last said",
        "    | compiling",
        "    | no such symbol",
        "    fix: mend it",
    ]


def test_of_long_output_only_the_end_is_shown() -> None:
    message = failure("seq 1 100; exit 1")
    assert [line for line in message.splitlines() if "|" in line] == [
        f"    | {number}" for number in range(81, 101)
    ]


def test_a_tool_that_takes_too_long_is_stopped_and_quoted() -> None:
    begun = time.monotonic()
    message = failure("echo waiting for the lock; exec sleep 30", timeout=0.2)
    assert time.monotonic() - begun < 5
    assert "sh took longer than 0 s" in message
    assert "| waiting for the lock" in message


STARTS_ANOTHER = "sleep 300 & echo $! >{mark}; wait"
"""A tool that leaves its work to another process."""


def runs(mark: Path) -> bool:
    """Whether the process of the number in a file runs; one that ended may be a zombie."""
    try:
        return ") Z" not in Path(f"/proc/{mark.read_text().strip()}/stat").read_text()
    except FileNotFoundError:
        return False


def test_what_a_tool_started_ends_with_it_when_its_time_is_over(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    failure(STARTS_ANOTHER.format(mark=mark), timeout=0.5)
    assert wait_until(lambda: not runs(mark), 5)


TOLD_TO_END = """
import sys, threading
from slipway.interrupts import watched_signals
from slipway.run import run
with watched_signals():
    threading.Thread(target=run, args=(["sh", "-c", sys.argv[1]],), kwargs={"what": "a"}).start()
    run(["sh", "-c", sys.argv[2]], what="b")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_tools_started_ends_with_a_process_that_is_told_to_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    marks = [tmp_path / "one", tmp_path / "two"]
    scripts = [STARTS_ANOTHER.format(mark=mark) for mark in marks]
    process = subprocess.Popen([sys.executable, "-c", TOLD_TO_END, *scripts], cwd=PROJECT)
    assert wait_until(lambda: all(map(runs, marks)), 20)
    process.send_signal(number)
    assert process.wait(20) != 0
    assert wait_until(lambda: not any(map(runs, marks)), 5)


def test_a_signal_does_not_come_between_a_start_and_what_would_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    start = subprocess.Popen

    def told_at_once(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        process = start(*args, **kwargs)
        assert wait_until(lambda: runs(mark), 20)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)  # where Python looks for signals
        return process

    monkeypatch.setattr(subprocess, "Popen", told_at_once)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here
    try:
        with watched_signals(), pytest.raises(KeyboardInterrupt):
            sh(STARTS_ANOTHER.format(mark=mark))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not runs(mark)


def test_a_tool_of_which_nobody_knows_better_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.run.LONGEST", 0.2)
    assert "sh took longer than 0 s" in failure("exec sleep 30")


def test_a_tool_that_only_says_what_it_knows_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert said("sh", "-c", "echo it; exit 3").returncode == 3
    assert said("sh", "-c", "echo it").stdout == "it\n"
    monkeypatch.setattr("slipway.run.QUICK", 0.2)
    late = said("sleep", "30")
    assert (late.returncode, late.stderr) == (124, "sleep does not answer within 0 s")


def test_a_tool_that_is_not_there_is_told() -> None:
    with pytest.raises(SlipwayError) as caught:
        run(["no-such-tool", "--version"], what="build", fix="install it")
    assert str(caught.value) == "build: no-such-tool: no such command\n    fix: install it"


def test_a_tool_that_must_not_be_run_is_told(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    with pytest.raises(SlipwayError, match=f"build: {tool}: Permission denied"):
        run([tool], what="build")


def test_a_directory_that_is_not_there_is_not_taken_for_a_missing_tool(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert failure("true", cwd=gone) == f"build of greeter: {gone}: No such file or directory"


def test_what_is_written_to_a_tool_comes_out_of_it_while_it_runs() -> None:
    with running(
        ["sh", "-c", "cat; echo done >&2"],
        what="copy",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as tool:
        tool.stdin.write(b"content")
        tool.stdin.close()
        assert tool.stdout.read() == b"content"
    assert tool.said == "done\n"


def test_a_tool_that_ends_early_says_why_and_not_that_nobody_read() -> None:
    with (
        pytest.raises(SlipwayError, match=r"copy: sh ended with code 3; it last said\n.*no room"),
        running(["sh", "-c", "echo no room >&2; exit 3"], what="copy", stdin=subprocess.PIPE) as it,
    ):
        for _ in range(100):
            it.stdin.write(bytes(1 << 16))


def test_a_tool_ends_with_the_block_that_is_broken_off(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with (
        pytest.raises(ValueError, match="enough"),
        running(["sh", "-c", STARTS_ANOTHER.format(mark=mark)], what="copy"),
    ):
        assert wait_until(mark.exists, 5)
        raise ValueError("enough")
    assert wait_until(lambda: not runs(mark), 5)

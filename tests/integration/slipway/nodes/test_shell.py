"""Several commands by one shell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from slipway.nodes.containerd import Answer
from slipway.nodes.shell import Argv, Session, session

MANY = 1 << 20


class Starts:
    """Starts shells of this machine, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, command: str) -> Argv:
        self.count += 1
        return ["/bin/sh", "-c", command]


def put(content: bytes) -> Callable[[IO[bytes]], None]:
    def write(out: IO[bytes]) -> None:
        out.write(content)

    return write


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
def shell(starts: Starts) -> Iterator[Session]:
    with session(starts) as opened:
        yield opened


def test_commands_share_a_shell_and_nothing_else(shell: Session, starts: Starts) -> None:
    assert shell.run("a=1; echo one; echo err >&2; exit 3") == Answer(3, "one\n", "err\n")
    assert shell.run('echo "a=$a"; cat; printf two') == Answer(0, "a=\ntwo", "")
    assert shell.feed("wc -c; echo err >&2; exit 4", put(b"x" * MANY)) == Answer(
        4, f"{MANY}\n", "err\n"
    )
    assert starts.count == 1


def test_what_a_fed_command_leaves_of_its_input_is_no_command(
    shell: Session, starts: Starts
) -> None:
    answer = shell.feed("head -c 3", put(b"runrun 4\nexit" * MANY))
    assert answer == Answer(0, "run", "")
    assert shell.run("echo next") == Answer(0, "next\n", "")
    assert starts.count == 2


def test_much_output_holds_up_no_input(shell: Session) -> None:
    answer = shell.feed(f"head -c {MANY} /dev/zero; cat", put(b"x" * MANY))
    assert len(answer.out) == 2 * MANY


def test_a_command_is_taken_as_it_stands(shell: Session) -> None:
    command = "printf '%s' 'äöü \"$HOME\"\n  `x`'"
    assert shell.run(command).out == 'äöü "$HOME"\n  `x`'


def test_a_shell_that_ends_is_an_answer_and_another_is_started(
    shell: Session, starts: Starts
) -> None:
    assert shell.run("echo so far; kill -9 $$") == Answer(-9, "so far", "")
    assert shell.run("echo next") == Answer(0, "next\n", "")
    assert starts.count == 2


def test_a_client_that_cannot_connect_says_why() -> None:
    with session(lambda _command: ["/bin/sh", "-c", "echo no route >&2; exit 255"]) as shell:
        assert shell.run("echo x") == Answer(255, "", "no route\n")
        answer = shell.feed("cat", put(b"x" * MANY))
        assert (answer.code, answer.err) == (255, "no route\n")


def test_an_error_while_writing_leaves_the_command_without_an_end(
    shell: Session, tmp_path: Path
) -> None:
    def write(_out: object) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        shell.feed(f"cat; echo > {tmp_path}/end", write)
    assert not (tmp_path / "end").exists()
    assert shell.run("echo next").out == "next\n"


def test_no_shell_stays(starts: Starts) -> None:
    with session(starts) as shell:
        pid = int(shell.run("echo $$").out)
        assert Path(f"/proc/{pid}").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

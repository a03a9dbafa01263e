"""Programs for nodes, run by a real Python that has nothing but their text."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slipway import node_program
from slipway.errors import SlipwayError
from tests.support.checkout import PROJECT

ON_NODE = PROJECT / "slipway" / "on_node"
MODULES = sorted({path.stem for path in ON_NODE.glob("*.py")} - {"__init__", "shared", "start"})

BELOW = """
from __future__ import annotations
from dataclasses import dataclass
from slipway.on_node.shared import Failed

@dataclass(frozen=True)
class Wish:
    text: str

def fail(text: str) -> None:
    raise Failed(f"no {text}", found=[text])
"""
ECHO = """
from __future__ import annotations
import os, sys
from typing import Any
from slipway.on_node.shared import Modes, place
from slipway.on_node.below import Wish, fail

def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    if "noise" in args:
        print(args["noise"], end="")
    if "fail" in args:
        fail(args["fail"])
    if "die" in args:
        print("so it was", file=sys.stderr)
        raise OSError(28, args["die"])
    if "touch" in args:
        place(args["touch"]).touch()
    return {"changed": modes.check, "diff": modes.diff, "args": args, "wish": repr(Wish("x"))}
"""

NASTY = {
    "quotes": "'''\"\"\"\\'\\\"",
    "lines": "one\r\ntwo\n\x00\u2028three\x85",
    "letters": "täxt \U0001f6a2 \ud800",
    "braces": "{a} {{ b }} %s $(c) `d`",
    "nested": [{"none": None, "yes": True, "number": 1.5}],
}


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a module that says what it was told, and what it needs."""
    folder = tmp_path / "on_node"
    folder.mkdir()
    for name in ("shared.py", "start.py"):
        shutil.copy(ON_NODE / name, folder)
    (folder / "below.py").write_text(BELOW)
    (folder / "echo.py").write_text(ECHO)
    monkeypatch.setattr(node_program, "_FOLDER", folder)
    return folder


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """How a program ends that is this Python's input."""
    return subprocess.run(
        [sys.executable, "-I", "-"],
        cwd=folder,
        env={"LC_ALL": "C"},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def carried_out(folder: Path, args: dict[str, Any], **modes: bool) -> dict[str, Any]:
    """What comes of the module there."""
    done = run(node_program.program("echo", args, modes), folder)
    return node_program.result("lab-1", "echo", done.returncode, done.stdout, done.stderr)


def test_a_module_gets_its_arguments_to_the_letter_and_returns_its_result(files: Path) -> None:
    assert carried_out(files, NASTY) == {
        "changed": False,
        "diff": False,
        "args": NASTY,
        "wish": "Wish(text='x')",
    }


def test_a_program_is_plain_ascii_whatever_it_carries(files: Path) -> None:
    assert node_program.program("echo", NASTY, {}).isascii()


@pytest.mark.parametrize("mode", ["check", "diff"])
def test_the_modes_of_a_task_are_handed_on(mode: str, files: Path) -> None:
    result = carried_out(files, {}, **{mode: True})
    assert (result["changed"], result["diff"]) == (mode == "check", mode == "diff")


@pytest.mark.parametrize("noise", ["no end of line", "=== slipway\n", "{}\n"])
def test_what_others_write_before_and_after_the_result_is_passed_over(
    noise: str, files: Path
) -> None:
    done = run(node_program.program("echo", {"noise": noise}, {}), files)
    out = f"Welcome!\n{done.stdout}\nlogout\n"
    result = node_program.result("lab-1", "echo", done.returncode, out, "")
    assert result["args"] == {"noise": noise}


def test_a_module_that_fails_returns_why_and_what_else_it_tells(files: Path) -> None:
    result = carried_out(files, {"fail": "room"})
    assert result == {"failed": True, "msg": "no room", "found": ["room"]}


def test_a_program_that_dies_is_told_with_its_last_words_and_none_of_its_arguments(
    files: Path,
) -> None:
    with pytest.raises(SlipwayError) as caught:
        carried_out(files, {"die": "no space left", "key": "canary"})
    first, *last = str(caught.value).splitlines()
    assert first == "lab-1: echo ended there with code 1; it last said"
    assert last[0] == "    | so it was"
    assert last[-1] == "    | OSError: [Errno 28] no space left"
    assert '    |   File "slipway/on_node/echo.py", line 15, in main' in last
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said", "shown"),
    [(127, "sh: 1: python3: not found\n", "sh: 1: python3: not found"), (137, "", "nothing")],
)
def test_what_does_not_even_begin_is_told(code: int, said: str, shown: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        node_program.result("lab-1", "echo", code, "", said)
    first, last = str(caught.value).splitlines()
    assert first == f"lab-1: echo ended there with code {code}; it last said"
    assert last == f"    | {shown}"


def test_a_result_that_was_cut_off_on_its_way_is_none() -> None:
    with pytest.raises(SlipwayError, match="lab-1: echo ended there with code 255"):
        node_program.result("lab-1", "echo", 255, '\n=== slipway: {"changed": fa', "")


def test_a_program_that_was_cut_off_on_its_way_does_nothing(files: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    text = node_program.program("echo", {"touch": str(made)}, {})
    for length in (len(text) // 2, text.index("\nstart(GIVEN)"), len(text) - len("(GIVEN)\n")):
        run(text[:length], files)
        assert not made.exists()
    run(text, files)
    assert made.exists()


def test_modules_of_the_folder_that_a_login_leads_to_are_not_taken(files: Path) -> None:
    (files / "json.py").write_text("raise SystemExit(7)\n")
    assert carried_out(files, {})["args"] == {}


@pytest.mark.parametrize("name", MODULES)
def test_all_that_a_module_needs_is_sent_with_it(name: str, tmp_path: Path) -> None:
    """Modes that nobody knows end it once everything is loaded, and before it does anything."""
    done = run(node_program.program(name, {}, {"unknown": True}), tmp_path)
    assert "unexpected keyword argument 'unknown'" in done.stderr


def python(path: Path, code: str) -> str:
    """A stand-in for a Python, which says by which name it was called."""
    path.write_text(f'#!/bin/sh\n[ "$*" = "-I -" ] && echo "$0 got $(cat)"\n{code}\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Runs a command of the shell, with an input."""

    def run(command: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "script"
        script.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{command} && sleep 0\n")
        script.chmod(0o755)
        return subprocess.run(
            [script], input="program", capture_output=True, text=True, check=False
        )

    return run


def test_the_python_that_is_named_is_taken(shell: Any, tmp_path: Path) -> None:
    named = python(tmp_path / "python", "exit 0")
    for interpreter in (named, f"/usr/bin/env {named}"):
        assert shell(node_program.command([interpreter])).stdout == f"{named} got program\n"
    python(tmp_path / "python", "exit 3")
    assert shell(node_program.command([named])).returncode == 3


def test_of_several_pythons_the_first_that_runs_is_taken(shell: Any, tmp_path: Path) -> None:
    broken = python(tmp_path / "broken", "exit 1")
    first, second = (python(tmp_path / name, "exit 0") for name in ("first", "second"))
    command = node_program.command([str(tmp_path / "none"), broken, first, second])
    assert shell(command).stdout == f"{first} got program\n"


def test_where_there_is_none_of_several_pythons_all_are_named(shell: Any, tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("one", "two")]
    done = shell(node_program.command(names))
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == f"there is no Python at {names[0]} or {names[1]}\n"

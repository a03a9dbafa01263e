"""What several modules of nodes need: tools, places, a way to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.on_node import shared


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where programs are."""
    monkeypatch.setattr(shared, "PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def has(tools: Path, script: str) -> None:
    """Let there be a tool."""
    (tools / "any").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "any").chmod(0o755)


def test_a_tool_gets_its_input_and_nothing_else_to_read(tools: Path) -> None:
    has(tools, "cat; echo so >&2; exit 3")
    done = shared.tool("any", given="täxt")
    assert (done.stdout, done.stderr, done.returncode) == ("täxt", "so\n", 3)
    assert shared.tool("any").stdout == ""


def test_a_tool_has_what_is_added_to_its_environment(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/root")
    has(tools, 'echo "$HOME $LC_ALL"')
    assert shared.tool("any", env={"LC_ALL": "C"}).stdout == "/root C\n"


def test_what_a_tool_says_is_told_also_where_it_is_no_text(tools: Path) -> None:
    has(tools, r"printf 'caf\351\n'")
    assert shared.tool("any").stdout == "caf\ufffd\n"


def test_a_tool_that_does_not_come_to_an_end_is_ended_and_told(tools: Path) -> None:
    has(tools, "echo begun; exec sleep 60")
    done = shared.tool("any", seconds=0.3)
    assert done.returncode != 0
    assert (done.stdout, done.stderr) == ("begun\n", "any took longer than 0 s")


def test_a_tool_that_is_not_there_is_no_tool_that_failed(tools: Path) -> None:
    assert shared.program("any") == ""
    with pytest.raises(FileNotFoundError):
        shared.tool("any")


def test_paths_of_a_pattern_are_the_node_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "ROOT", tmp_path)
    for name in ("b", "a"):
        shared.place("/etc/x").mkdir(parents=True, exist_ok=True)
        shared.place(f"/etc/x/{name}.conf").touch()
    assert shared.matching("/etc/*/*.conf") == ["/etc/x/a.conf", "/etc/x/b.conf"]


def test_a_failure_is_a_result_with_its_message_and_what_else_it_tells() -> None:
    assert shared.Failed("no room", changed=True).result == {
        "changed": True,
        "failed": True,
        "msg": "no room",
    }

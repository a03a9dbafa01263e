"""Tools, folders, name servers and names of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.doctor import control_node
from tests.support.machines import told


@pytest.fixture(autouse=True)
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose programs are those in a folder of the test's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def has(folder: Path, *names: str) -> None:
    """Let the machine have programs."""
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


def test_tools_that_are_there_will_do(no_programs: Path) -> None:
    has(no_programs, "git", "mvn")
    assert told(control_node.programs(["git", "maven"])) == [("ok", "all tools")]


def test_tools_that_are_not_there_are_installed_by_root(
    no_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(no_programs, "apt-get", "git")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert told(control_node.programs(["git", "maven"])) == [("ok", "a run installs maven")]


@pytest.mark.parametrize(("user", "apt"), [(1000, True), (0, False)])
def test_tools_that_nobody_installs_are_told_with_the_command(
    user: int, apt: bool, no_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(no_programs, *(["apt-get"] if apt else []))
    monkeypatch.setattr("os.geteuid", lambda: user)
    (result,) = control_node.programs(["git", "maven"])
    assert (str(result.state), result.found) == ("fail", "lacks git, maven")
    assert result.fix.startswith("as root:\n")
    assert "git" in result.fix
    assert ("apt-get install" in result.fix) == apt


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nameserver 192.0.2.53\nnameserver ::1\n", "192.0.2.53"),
        # A notebook that is offline has a cluster all the same.
        ("", "none now"),
    ],
)
def test_the_name_servers_that_nodes_follow_are_told(text: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    expected = ("ok", f"{found}; nodes follow {path}")
    assert told(control_node.name_servers(str(path))) == [expected]


def test_name_servers_of_the_machine_s_own_loopback_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("slipway.nodes.containers.resolv_conf", lambda _given: None)
    ((state, found),) = told(control_node.name_servers(""))
    assert (state, found.startswith("none that a container can ask")) == ("warn", True)


POOL = ["172.29.255.200-172.29.255.250"]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, []),
        ({"a.test": {"172.29.255.200"}}, []),
        ({"a.test": {"::1", "172.29.255.201"}}, []),
        ({"a.test": set()}, [("warn", "a.test unknown to this machine")]),
        (
            {"a.test": {"127.0.0.1"}, "b.test": set(), "c.test": set()},
            [
                ("warn", "b.test, c.test unknown to this machine"),
                ("warn", "a.test is 127.0.0.1, which is not in metallb_pool"),
            ],
        ),
    ],
)
def test_hosts_are_known_as_addresses_of_the_pool(
    known: dict[str, set[str]], expected: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        control_node, "resolved", lambda names: {each: known[each] for each in names}
    )
    results = told(control_node.hosts(list(known), POOL))
    assert [each for each in results if each[0] != "ok"] == expected
    assert results


def test_folders_that_are_not_there_yet_are_made_in_one_that_may_be_written(
    tmp_path: Path,
) -> None:
    user = tmp_path.stat().st_uid
    kept = [tmp_path / "cache" / "slipway", tmp_path / "bin"]
    assert [state for state, _ in told(control_node.folders(kept, user))] == ["ok"]
